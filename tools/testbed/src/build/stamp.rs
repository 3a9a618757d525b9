//! What a program was built from: every file of its module's folder, the build's flags and Go's version, as one digest.

use std::fs;
use std::path::{Path, PathBuf};

use super::go::arguments;
use super::{Program, Result};
use crate::file::at;
use crate::inputs::Inputs;

pub(super) fn of(program: &Program, module: &Path, go: &str) -> Result<String> {
    let mut inputs = Inputs::default();
    inputs.part(go);
    for argument in arguments(program) {
        inputs.part(argument);
    }
    inputs.tree(module).map_err(at(module))?;
    Ok(inputs.digest())
}

pub(super) fn is_current(program: &Path, stamp: &str) -> bool {
    program.exists() && fs::read_to_string(path(program)).is_ok_and(|written| written.trim_end() == stamp)
}

pub(super) fn write(program: &Path, stamp: &str) -> Result<()> {
    let path = path(program);
    Ok(fs::write(&path, format!("{stamp}\n")).map_err(at(&path))?)
}

/// The file with a program's stamp.
pub(crate) fn path(program: &Path) -> PathBuf {
    program.with_added_extension("stamp")
}

#[cfg(test)]
mod tests {
    use super::super::{PROGRAMS, modules};
    use super::*;

    #[test]
    fn a_stamp_changes_with_go_and_with_the_flags() {
        let kube = modules().join("etcd");
        let stamp = |program, go| of(&PROGRAMS[program], &kube, go).unwrap();
        assert_eq!(stamp(1, "go1.26.8"), stamp(1, "go1.26.8"));
        assert_ne!(stamp(1, "go1.26.8"), stamp(1, "go1.26.9"));
        assert_ne!(stamp(1, "go1.26.8"), stamp(2, "go1.26.8"));
    }

    #[test]
    fn a_program_without_its_stamp_is_out_of_date() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("etcd");
        write(&program, "stamp").unwrap();
        assert!(!is_current(&program, "stamp"), "the program itself is missing");
        fs::write(&program, "").unwrap();
        assert!(is_current(&program, "stamp"));
        assert!(!is_current(&program, "another"));
    }

    #[test]
    fn every_program_has_a_module_that_pins_its_versions() {
        for program in PROGRAMS {
            assert!(modules().join(program.module).join("go.mod").is_file(), "{}", program.name);
        }
    }
}

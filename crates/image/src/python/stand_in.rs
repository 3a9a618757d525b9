//! Libraries in the place of those that were left out, so that what links to them still loads.
//!
//! PyTorch's libraries for Linux link to NVIDIA's, 3 GB that a CPU has no use for, and need their functions to exist when they are
//! loaded. They are called only for a GPU.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use object::LittleEndian;
use object::elf::{DT_NEEDED, FileHeader64, SHT_DYNSYM, STB_GLOBAL, STT_OBJECT, STT_TLS};
use object::read::elf::{FileHeader, SectionTable, Sym};

use crate::error::{Error, Result};
use crate::python::library::{self, Kind, Symbol, Symbols};
use crate::python::wheel::is_library;
use crate::tree::{self, Tree};

/// The libraries of C and C++. Their symbols have versions, or names that only they may define: [`is_of_a_language`].
const OF_LANGUAGES: [&str; 12] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libnsl.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
];

/// Further libraries that a wheel expects of the system (<https://peps.python.org/pep-0600/>), or of a GPU's driver.
const OF_THE_SYSTEM: [&str; 18] = [
    "libGL.so.1",
    "libICE.so.6",
    "libSM.so.6",
    "libX11.so.6",
    "libXext.so.6",
    "libXrender.so.1",
    "libatomic.so.1",
    "libcuda.so.1",
    "libexpat.so.1",
    "libglib-2.0.so.0",
    "libgobject-2.0.so.0",
    "libgthread-2.0.so.0",
    "libibverbs.so.1",
    "libmlx5.so.1",
    "libnvidia-ml.so.1",
    "libpython3.so",
    "librdmacm.so.1",
    "libz.so.1",
];

/// A library of the tree.
struct Library {
    machine: u16,
    /// The names of the libraries that it links to.
    needed: Vec<String>,
}

/// Adds the missing libraries below a folder, each beside the one that links to it.
pub(crate) fn add(tree: &mut Tree, folder: &str) -> Result<()> {
    let libraries = libraries(tree, folder)?;
    let by_name: HashMap<&str, &str> = libraries.keys().map(|path| (name(path), path.as_str())).collect();
    let is_gone = |needed: &str| {
        !by_name.contains_key(needed) && !OF_LANGUAGES.contains(&needed) && !OF_THE_SYSTEM.contains(&needed)
    };
    let mut missing: BTreeMap<String, (u16, Symbols)> = BTreeMap::new();
    let mut defined = HashMap::new();
    for (path, library) in &libraries {
        let gone: Vec<&str> = library.needed.iter().map(String::as_str).filter(|needed| is_gone(needed)).collect();
        if gone.is_empty() {
            continue;
        }
        let beside =
            |name: &str| path.rsplit_once('/').map_or_else(|| name.to_owned(), |(at, _)| format!("{at}/{name}"));
        for name in &gone {
            missing.entry(beside(name)).or_insert_with(|| (library.machine, BTreeMap::new()));
        }
        let others = closure(path, &libraries, &by_name);
        for other in &others {
            if !defined.contains_key(*other) {
                defined.insert(*other, definitions(tree, other)?);
            }
        }
        for Undefined { name, symbol, file } in undefined(tree, path)? {
            let of = match &file {
                Some(file) => gone.iter().find(|name| *name == file),
                None if others.iter().any(|other| defined.get(other).is_some_and(|all| all.contains(&name))) => None,
                None if is_of_a_language(&name) => None,
                None => {
                    if let Some(other) = library.needed.iter().find(|one| OF_THE_SYSTEM.contains(&one.as_str())) {
                        return Err(ambiguous(path, &name, other, gone[0]));
                    }
                    gone.first()
                }
            };
            if let Some(of) = of
                && let Some((_, symbols)) = missing.get_mut(&beside(of))
            {
                symbols.insert(name, symbol);
            }
        }
    }
    for (path, (machine, symbols)) in missing {
        let bytes = library::library(name(&path), machine, &symbols).ok_or_else(|| {
            Error::malformed(
                &path,
                "cannot be replaced on this architecture: keep its package in python.without of image.yaml",
            )
        })?;
        tree.stand_in(&path, bytes)?;
    }
    Ok(())
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn ambiguous(path: &str, symbol: &[u8], system: &str, gone: &str) -> Error {
    let symbol = String::from_utf8_lossy(symbol);
    let reason = format!(
        "uses {symbol}, which may be of {system} or of {gone}, which is not installed: add this library to python.without.files of image.yaml, or keep the package of the other"
    );
    Error::malformed(path, reason)
}

/// The libraries of this tree that a library links to, directly or through others.
fn closure<'a>(
    path: &'a str,
    libraries: &'a BTreeMap<String, Library>,
    by_name: &HashMap<&str, &'a str>,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&str> = vec![path];
    while let Some(path) = waiting.pop() {
        let needed = libraries.get(path).map(|library| library.needed.as_slice()).unwrap_or_default();
        waiting
            .extend(needed.iter().filter_map(|name| by_name.get(name.as_str())).filter(|other| found.insert(**other)));
    }
    found
}

/// The libraries below a folder by their paths.
fn libraries(tree: &Tree, folder: &str) -> Result<BTreeMap<String, Library>> {
    let mut found = BTreeMap::new();
    for (path, node) in tree.nodes() {
        if !matches!(node.kind, tree::Kind::File { .. }) || !path.starts_with(folder) || !is_library(path) {
            continue;
        }
        let bytes = tree.read(path)?.unwrap_or_default();
        // a linker script has such a name as well
        if bytes.starts_with(b"\x7fELF\x02\x01") {
            found.insert(path.to_owned(), header(&bytes).map_err(|error| Error::malformed(path, error))?);
        }
    }
    Ok(found)
}

fn header(bytes: &[u8]) -> object::Result<Library> {
    let (header, sections) = parse(bytes)?;
    let dynamic = sections.dynamic_table(LittleEndian, bytes)?;
    let mut needed = Vec::new();
    for entry in dynamic.iter().filter(|entry| entry.tag == DT_NEEDED) {
        needed.push(String::from_utf8_lossy(dynamic.string(entry)?).into_owned());
    }
    Ok(Library { machine: header.e_machine.get(LittleEndian), needed })
}

type Elf = FileHeader64<LittleEndian>;

fn parse(bytes: &[u8]) -> object::Result<(&Elf, SectionTable<'_, Elf>)> {
    let header = Elf::parse(bytes)?;
    Ok((header, header.sections(LittleEndian, bytes)?))
}

/// The symbols that a library defines.
fn definitions(tree: &Tree, path: &str) -> Result<HashSet<Vec<u8>>> {
    let bytes = tree.read(path)?.unwrap_or_default();
    let read = || -> object::Result<HashSet<Vec<u8>>> {
        let (_, sections) = parse(&bytes)?;
        let symbols = sections.symbols(LittleEndian, bytes.as_slice(), SHT_DYNSYM)?;
        let defined = symbols.iter().filter(|symbol| !symbol.is_undefined(LittleEndian));
        defined.map(|symbol| Ok(symbols.symbol_name(LittleEndian, symbol)?.to_vec())).collect()
    };
    read().map_err(|error| Error::malformed(path, error))
}

/// Whether a symbol without a version is defined by Python, by C's implementation, or by C++'s: `operator new`, and what is in `std`,
/// `__gnu_cxx` and `__cxxabiv1`. <https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling>
fn is_of_a_language(symbol: &[u8]) -> bool {
    let begins = |text: &[u8], with: &[&[u8]]| with.iter().any(|start| text.starts_with(start));
    let Some(mangled) = symbol.strip_prefix(b"_Z") else { return begins(symbol, &[b"Py", b"_Py", b"__"]) };
    if begins(mangled, &[b"nw", b"na", b"dl", b"da"]) {
        return true;
    }
    // tables and guards of an entity, then a nested name with its qualifiers
    let special: [&[u8]; 5] = [b"TV", b"TT", b"TI", b"TS", b"GV"];
    let entity = special.iter().find_map(|start| mangled.strip_prefix(*start)).unwrap_or(mangled);
    let entity = match entity.strip_prefix(b"N") {
        Some(nested) => &nested[nested.iter().take_while(|byte| b"rVKRO".contains(byte)).count()..],
        None => entity,
    };
    begins(entity, &[b"St", b"Sa", b"Sb", b"Ss", b"Si", b"So", b"Sd", b"9__gnu_cxx", b"10__cxxabiv1"])
}

/// A symbol that a library needs of others.
struct Undefined {
    name: Vec<u8>,
    symbol: Symbol,
    /// The library that its version is of.
    file: Option<String>,
}

fn undefined(tree: &Tree, path: &str) -> Result<Vec<Undefined>> {
    let bytes = tree.read(path)?.unwrap_or_default();
    let broken = |error: object::read::Error| Error::malformed(path, error);
    let (_, sections) = parse(&bytes).map_err(broken)?;
    let symbols = sections.symbols(LittleEndian, bytes.as_slice(), SHT_DYNSYM).map_err(broken)?;
    let versions = sections.versions(LittleEndian, bytes.as_slice()).map_err(broken)?.unwrap_or_default();
    let mut found = Vec::new();
    // a weak symbol may stay without a definition
    for (number, symbol) in symbols.enumerate().filter(|(number, _)| number.0 > 0) {
        if !symbol.is_undefined(LittleEndian) || symbol.st_bind() != STB_GLOBAL {
            continue;
        }
        let name = symbols.symbol_name(LittleEndian, symbol).map_err(broken)?.to_vec();
        let version = versions.version(versions.version_index(LittleEndian, number)).map_err(broken)?;
        let file = version.and_then(|version| version.file()).map(|file| String::from_utf8_lossy(file).into_owned());
        let kind = match symbol.st_type() {
            // the variable of a thread cannot be replaced; the error of loading names it
            STT_TLS => continue,
            STT_OBJECT => Kind::Data,
            _ => Kind::Function,
        };
        found.push(Undefined { name, symbol: Symbol { kind, version: version.map(|one| one.name().to_vec()) }, file });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("_ZdlPvm", true)]
    #[case("_ZNSt13runtime_errorC1EPKc", true)]
    #[case("_ZSt24__throw_out_of_range_fmtPKcz", true)]
    #[case("_ZNKSt5ctypeIcE8do_widenEc", true)]
    #[case("_ZTVN10__cxxabiv120__si_class_type_infoE", true)]
    #[case("_ZTISt9exception", true)]
    #[case("_ZNSs4_Rep20_S_empty_rep_storageE", true)]
    #[case("PyList_New", true)]
    #[case("__cxa_throw_bad_array_new_length", true)]
    #[case("ncclCommInitRank", false)]
    #[case("cuFileRead", false)]
    #[case("_ZN4c10d16ProcessGroupNCCL8groupEndEv", false)]
    #[case("_ZN5StatsC1Ev", false)]
    fn who_defines_a_symbol_without_a_version(#[case] symbol: &str, #[case] of_a_language: bool) {
        assert_eq!(is_of_a_language(symbol.as_bytes()), of_a_language);
    }

    /// Runs the C compiler in a folder.
    #[cfg(target_os = "linux")]
    fn cc(folder: &std::path::Path, file: &str, text: &str, arguments: &[&str]) {
        std::fs::write(folder.join(file), text).unwrap();
        let done = std::process::Command::new("cc").current_dir(folder).arg(file).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// A library that links to one with a version, to one without, and to one that stays; the first two are left out.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_library_loads_without_what_it_links_to_until_it_calls_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::write(at.join("map"), "GONE_1 { global: versioned; };").unwrap();
        let shared = ["-shared", "-fPIC", "-o"];
        let library = |name: &str, text: &str, more: &[&str]| {
            let soname = format!("-Wl,-soname,{name}");
            cc(at, "one.c", text, &[&shared[..], &[name, &soname], more].concat());
        };
        library("libgone.so.1", "void versioned(void) {}", &["-Wl,--version-script,map"]);
        library("libplain.so", "void plain(void) {}\nint table[4] = {1};", &[]);
        library("libstays.so", "int stays(void) { return 7; }", &[]);
        let uses = "void versioned(void); void plain(void); int stays(void); extern int table[4];\n\
                    int use(int which) { if (which == 1) versioned(); if (which == 2) plain(); return stays() + table[0]; }";
        let links = ["./libgone.so.1", "./libplain.so", "./libstays.so", "-Wl,-rpath,$ORIGIN"];
        library("libuses.so", uses, &links);
        cc(
            at,
            "main.c",
            "#include <dlfcn.h>\n#include <stdio.h>\n#include <stdlib.h>\n\
             int main(int count, char **words) {\n\
               void *library = dlopen(words[1], RTLD_NOW);\n\
               if (!library) { puts(dlerror()); return 1; }\n\
               return ((int (*)(int))dlsym(library, \"use\"))(atoi(words[2]));\n\
             }",
            &["-o", "main", "-ldl"],
        );
        let mut tree = Tree::new(at).unwrap();
        for name in ["libuses.so", "libstays.so"] {
            tree.file(&format!("site/lib/{name}"), tree::Content::Disk(at.join(name)), true, "a wheel").unwrap();
        }
        add(&mut tree, "site").unwrap();
        assert_eq!(tree.stand_ins(), ["site/lib/libgone.so.1", "site/lib/libplain.so"]);
        let written = at.join("written");
        tree.write(&written).unwrap();
        let run = |which: &str| {
            let uses = written.join("site/lib/libuses.so");
            let done = std::process::Command::new(at.join("main")).arg(uses).arg(which).output().unwrap();
            let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
            (done.status.code(), text)
        };
        assert_eq!(run("0"), (Some(7), String::new()), "it loads, and the table reads as zeros");
        for (which, name) in [("1", "versioned"), ("2", "plain")] {
            let (code, text) = run(which);
            assert_eq!(code, Some(70), "{text}");
            assert!(text.starts_with(&format!("slipway: {name} was called, and its library was left out")), "{text}");
        }
    }
}

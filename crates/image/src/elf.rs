//! What an ELF file links to, read from its dynamic section. <https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html>

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use slipway_oci::Platform;

use crate::error::{Error, Result};

/// What an ELF file requires of the machine that it runs on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Elf {
    /// `e_machine`.
    pub(crate) machine: u16,
    /// The libraries that it links to.
    pub(crate) needed: Vec<String>,
    /// The search path for libraries: its offset in the file, and its text.
    pub(crate) search: Option<(u64, String)>,
    /// The versions of symbols that it needs, such as `GLIBC_2.34`.
    pub(crate) versions: Vec<String>,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;

/// `e_machine` in the programs of a platform.
pub(crate) fn machine(platform: Platform) -> u16 {
    match platform {
        Platform::Amd64 => 62,
        Platform::Arm64 => 183,
    }
}

/// Reads only the headers of a 64-bit little-endian ELF file.
pub(crate) fn read(path: &Path) -> Result<Elf> {
    let file = File::open(path).map_err(Error::file("reading", path))?;
    let broken = |reason: &str| {
        Error::malformed(path.display().to_string(), format!("is not a program or library for Linux: {reason}"))
    };
    let at = |offset: u64, size: u64| -> Result<Vec<u8>> {
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size <= 1 << 28)
            .ok_or_else(|| broken("a part of it claims more than 256 MiB"))?;
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, offset).map_err(|_| broken("it ends early"))?;
        Ok(bytes)
    };
    let header = at(0, 64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(broken("it is not a 64-bit ELF file"));
    }
    let machine = u16_at(&header, 18);
    let programs = at(u64_at(&header, 32), u64::from(u16_at(&header, 54)) * u64::from(u16_at(&header, 56)))?;
    let size = usize::from(u16_at(&header, 54)).max(56);
    let (mut loads, mut dynamic) = (Vec::new(), None);
    for program in programs.chunks_exact(size) {
        let (offset, address, length) = (u64_at(program, 8), u64_at(program, 16), u64_at(program, 32));
        match u32_at(program, 0) {
            PT_LOAD => loads.push((address, length, offset)),
            PT_DYNAMIC => dynamic = Some((offset, length)),
            _ => {}
        }
    }
    let Some((offset, length)) = dynamic else { return Ok(Elf { machine, ..Elf::default() }) };
    let in_file = |address: u64| -> Result<u64> {
        let load = loads.iter().find(|(start, length, _)| (*start..start.saturating_add(*length)).contains(&address));
        load.map(|(start, _, offset)| address - start + offset)
            .ok_or_else(|| broken("an address lies outside of every segment"))
    };
    let entries = at(offset, length)?;
    let entries: Vec<(u64, u64)> = entries
        .chunks_exact(16)
        .map(|entry| (u64_at(entry, 0), u64_at(entry, 8)))
        .take_while(|(tag, _)| *tag != 0)
        .collect();
    let value = |name: u64| entries.iter().find(|(tag, _)| *tag == name).map(|(_, value)| *value);
    let strings_at = in_file(value(DT_STRTAB).ok_or_else(|| broken("it has no string table"))?)?;
    let strings = at(strings_at, value(DT_STRSZ).ok_or_else(|| broken("its string table has no size"))?)?;
    let text = |offset: u64| -> Result<String> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|offset| strings.get(offset..))
            .ok_or_else(|| broken("a string lies outside of its table"))?;
        Ok(String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned())
    };
    let mut elf = Elf { machine, ..Elf::default() };
    for (tag, value) in &entries {
        match *tag {
            DT_NEEDED => elf.needed.push(text(*value)?),
            DT_RPATH | DT_RUNPATH => elf.search = Some((strings_at + value, text(*value)?)),
            _ => {}
        }
    }
    if let (Some(address), Some(count)) = (value(DT_VERNEED), value(DT_VERNEEDNUM)) {
        let mut at_file = in_file(address)?;
        for _ in 0..count.min(1 << 12) {
            let file = at(at_file, 16)?;
            let mut at_version = at_file + u64::from(u32_at(&file, 8));
            for _ in 0..u16_at(&file, 2) {
                let version = at(at_version, 16)?;
                elf.versions.push(text(u64::from(u32_at(&version, 8)))?);
                at_version += u64::from(u32_at(&version, 12));
            }
            at_file += u64::from(u32_at(&file, 12));
        }
    }
    Ok(elf)
}

/// The compiler that a program's comment section names, such as `rustc version 1.95.0 (59807616e 2026-04-14)`.
pub(crate) fn compiler(bytes: &[u8]) -> Option<String> {
    const START: &[u8] = b"rustc version ";
    let at = bytes.windows(START.len()).rposition(|window| window == START)?;
    let text = bytes[at..].split(|byte| *byte == 0).next()?;
    (text.len() < 200).then(|| String::from_utf8_lossy(text).into_owned())
}

/// The newest `GLIBC_x.y` among versions of symbols; `None` if none of them is one.
pub(crate) fn glibc(versions: &[String]) -> Option<(u32, u32)> {
    let number = |version: &String| {
        let (major, minor) = version.strip_prefix("GLIBC_")?.split_once('.')?;
        Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
    };
    versions.iter().filter_map(number).max()
}

/// The same bytes with another search path for libraries written over the old one; `None` if the old one is shorter.
///
/// A program that was linked on a machine names a folder of that machine. The linker may let the name of a symbol share the end of the
/// text, but that name would be `lib` or a single letter, and no symbol of these programs is called so.
pub(crate) fn with_search(mut bytes: Vec<u8>, elf: &Elf, search: &str) -> Option<Vec<u8>> {
    let (offset, old) = elf.search.as_ref()?;
    let start = usize::try_from(*offset).ok()?;
    let text = bytes.get_mut(start..start + old.len())?;
    if search.len() > text.len() {
        return None;
    }
    text.fill(0);
    text[..search.len()].copy_from_slice(search.as_bytes());
    Some(bytes)
}

/// Writes zeros over the sections of these names. A file that is not ELF, or has no such section, stays as it is.
pub(crate) fn empty(bytes: &mut [u8], names: &[String]) {
    for range in sections(bytes, names).unwrap_or_default() {
        if let Some(content) = bytes.get_mut(range) {
            content.fill(0);
        }
    }
}

fn sections(bytes: &[u8], names: &[String]) -> object::Result<Vec<Range<usize>>> {
    use object::read::elf::{ElfFile64, SectionHeader};
    use object::{Endianness, Object, ObjectSection};

    let file = ElfFile64::<Endianness>::parse(bytes)?;
    let mut found = Vec::new();
    for section in file.sections() {
        if names.iter().any(|name| section.name() == Ok(name))
            && let Some((start, size)) = section.elf_section_header().file_range(file.endian())
            && let (Ok(start), Ok(size)) = (usize::try_from(start), usize::try_from(size))
        {
            found.push(start..start.saturating_add(size));
        }
    }
    Ok(found)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_names_its_libc() {
        let elf = read(&std::env::current_exe().unwrap()).unwrap();
        if cfg!(target_os = "linux") {
            assert!(elf.needed.iter().any(|name| name == "libc.so.6"), "{elf:?}");
            assert!(glibc(&elf.versions).unwrap() >= (2, 17));
        }
    }

    #[test]
    fn a_program_names_its_compiler() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(compiler(&bytes).unwrap().starts_with("rustc version 1."));
        assert_eq!(compiler(b"nothing"), None);
    }

    #[test]
    fn sections_are_emptied_in_place() {
        let path = std::env::current_exe().unwrap();
        let old = std::fs::read(&path).unwrap();
        let mut new = old.clone();
        empty(&mut new, &[".comment".to_owned(), ".none".to_owned()]);
        assert_eq!(new.len(), old.len());
        if cfg!(target_os = "linux") {
            assert_ne!(compiler(&old), compiler(&new), "the comment says which compiler it was");
        }
        let mut text = b"not ELF".to_vec();
        empty(&mut text, &[".comment".to_owned()]);
        assert_eq!(text, b"not ELF");
    }

    #[test]
    fn a_search_path_is_replaced_only_where_it_fits() {
        let elf = Elf { search: Some((2, "/home/me/lib".into())), ..Elf::default() };
        let bytes = b"ab/home/me/lib\0cd".to_vec();
        assert_eq!(with_search(bytes.clone(), &elf, "/opt/lib").unwrap(), b"ab/opt/lib\0\0\0\0\0cd");
        assert_eq!(with_search(bytes, &elf, "/opt/much/longer"), None);
    }
}

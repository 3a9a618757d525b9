//! Writes a shared library whose functions end the process with a message. <https://gabi.xinuos.com/>

use std::collections::{BTreeMap, BTreeSet};

use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, Verdef, Writer};

/// What a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Its call ends the process.
    Function,
    /// It reads as zeros.
    Data,
}

/// A symbol of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) kind: Kind,
    /// The version by which others ask for it.
    pub(crate) version: Option<Vec<u8>>,
}

/// Symbols by their names.
pub(crate) type Symbols = BTreeMap<Vec<u8>, Symbol>;

/// The code of a process that ends in a missing function: `EX_SOFTWARE` of sysexits.h.
const EXIT: u16 = 70;
/// How large the data behind a symbol is. A library that uses a symbol does not say.
const DATA: u64 = 4096;
/// The largest page of the architectures.
const PAGE: u64 = 1 << 16;

/// The library with this name, for an architecture (`e_machine`), with these symbols. `None` for an architecture that is unknown here, or
/// symbols of more than a megabyte of text.
pub(crate) fn library(name: &str, machine: u16, symbols: &Symbols) -> Option<Vec<u8>> {
    let functions: Vec<&[u8]> = names(symbols, Kind::Function);
    let data: Vec<&[u8]> = names(symbols, Kind::Data);
    let all: Vec<&[u8]> = functions.iter().chain(&data).copied().collect();
    let versions: BTreeSet<&[u8]> = symbols.values().filter_map(|symbol| symbol.version.as_deref()).collect();
    let (text, entries) = text(machine, &functions)?;
    let mut bytes = Vec::new();
    let mut writer = Writer::new(object::Endianness::Little, true, &mut bytes);

    // all sizes come first
    writer.reserve_file_header();
    writer.reserve_program_headers(4);
    writer.reserve_null_section_index();
    let hash_section = writer.reserve_hash_section_index();
    writer.reserve_dynsym_section_index();
    writer.reserve_dynstr_section_index();
    writer.reserve_gnu_versym_section_index();
    writer.reserve_gnu_verdef_section_index();
    let text_name = writer.add_section_name(b".text");
    let text_section = writer.reserve_section_index();
    writer.reserve_dynamic_section_index();
    let data_name = writer.add_section_name(b".bss");
    let data_section = writer.reserve_section_index();
    writer.reserve_shstrtab_section_index();
    debug_assert_eq!(hash_section.0, 1);
    writer.reserve_null_dynamic_symbol_index();
    let soname = writer.add_dynamic_string(name.as_bytes());
    let ids: Vec<StringId> = all.iter().map(|name| writer.add_dynamic_string(name)).collect();
    let version_ids: Vec<StringId> = versions.iter().map(|name| writer.add_dynamic_string(name)).collect();
    for _ in &ids {
        writer.reserve_dynamic_symbol_index();
    }
    let count = u32::try_from(ids.len() + 1).ok()?;
    let hash = writer.reserve_hash(count, count);
    let dynsym = writer.reserve_dynsym();
    let dynstr = writer.reserve_dynstr();
    let versym = writer.reserve_gnu_versym() as u64;
    let verdefs = version_ids.len() + 1;
    let verdef = writer.reserve_gnu_verdef(verdefs, verdefs) as u64;
    let text_at = writer.reserve(text.len(), 16);
    let code_end = writer.reserved_len() as u64;
    let dynamic = writer.reserve_dynamic(10);
    let file_end = writer.reserved_len() as u64;
    writer.reserve_shstrtab();
    writer.reserve_section_headers();

    // the second segment lies one page further in memory than in the file, so that the loader can write to it
    let (hash, dynsym, dynstr, text_at) = (hash as u64, dynsym as u64, dynstr as u64, text_at as u64);
    let dynamic_at = dynamic as u64 + PAGE;
    let data_at = (file_end + PAGE).next_multiple_of(64);
    let data_size = DATA * data.len() as u64;

    let header = FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_DYN,
        e_machine: machine,
        e_entry: 0,
        e_flags: 0,
    };
    writer.write_file_header(&header).ok()?;
    writer.write_align_program_headers();
    let mut segment =
        |p_type: u32, p_flags: u32, offset: u64, address: u64, in_file: u64, in_memory: u64, p_align: u64| {
            writer.write_program_header(&ProgramHeader {
                p_type,
                p_flags,
                p_offset: offset,
                p_vaddr: address,
                p_paddr: address,
                p_filesz: in_file,
                p_memsz: in_memory,
                p_align,
            });
        };
    let written = file_end - dynamic as u64;
    segment(elf::PT_LOAD, elf::PF_R | elf::PF_X, 0, 0, code_end, code_end, PAGE);
    let in_memory = data_at + data_size - dynamic_at;
    segment(elf::PT_LOAD, elf::PF_R | elf::PF_W, dynamic as u64, dynamic_at, written, in_memory, PAGE);
    segment(elf::PT_DYNAMIC, elf::PF_R | elf::PF_W, dynamic as u64, dynamic_at, written, written, 8);
    segment(elf::PT_GNU_STACK, elf::PF_R | elf::PF_W, 0, 0, 0, 0, 16);

    writer.write_hash(count, count, |number| {
        let number = usize::try_from(number).ok()?.checked_sub(1)?;
        all.get(number).map(|name| elf::hash(name))
    });
    writer.write_null_dynamic_symbol();
    for (number, id) in ids.iter().enumerate() {
        let (section, kind, value, size) = match entries.get(number) {
            Some(entry) => (text_section, elf::STT_FUNC, text_at + entry, 0),
            None => (data_section, elf::STT_OBJECT, data_at + DATA * (number - entries.len()) as u64, DATA),
        };
        writer.write_dynamic_symbol(&Sym {
            name: Some(*id),
            section: Some(section),
            st_info: (elf::STB_GLOBAL << 4) | kind,
            st_other: elf::STV_DEFAULT,
            st_shndx: 0,
            st_value: value,
            st_size: size,
        });
    }
    writer.write_dynstr();
    writer.write_null_gnu_versym();
    for name in &all {
        let version = symbols.get(*name).and_then(|symbol| symbol.version.as_deref());
        let number = version.and_then(|version| versions.iter().position(|other| *other == version));
        writer.write_gnu_versym(index(number)?);
    }
    writer.write_align_gnu_verdef();
    let define = |name: StringId, flags: u16, index: u16| Verdef {
        version: elf::VER_DEF_CURRENT,
        flags,
        index,
        aux_count: 1,
        name,
    };
    writer.write_gnu_verdef(&define(soname, elf::VER_FLG_BASE, index(None)?));
    for (number, name) in version_ids.iter().enumerate() {
        writer.write_gnu_verdef(&define(*name, 0, index(Some(number))?));
    }
    writer.write_align(16);
    writer.write(&text);
    writer.write_align_dynamic();
    let strings = writer.dynstr_len() as u64;
    writer.write_dynamic_string(elf::DT_SONAME, soname).ok()?;
    for (tag, value) in [
        (elf::DT_HASH, hash),
        (elf::DT_STRTAB, dynstr),
        (elf::DT_SYMTAB, dynsym),
        (elf::DT_STRSZ, strings),
        (elf::DT_SYMENT, 24),
        (elf::DT_VERSYM, versym),
        (elf::DT_VERDEF, verdef),
        (elf::DT_VERDEFNUM, verdefs as u64),
        (elf::DT_NULL, 0),
    ] {
        writer.write_dynamic(tag, value).ok()?;
    }
    writer.write_shstrtab();
    writer.write_null_section_header();
    writer.write_hash_section_header(hash);
    writer.write_dynsym_section_header(dynsym, 1);
    writer.write_dynstr_section_header(dynstr);
    writer.write_gnu_versym_section_header(versym);
    writer.write_gnu_verdef_section_header(verdef);
    let section = |name, sh_type, flags, address, offset, size, align| SectionHeader {
        name: Some(name),
        sh_type,
        sh_flags: u64::from(elf::SHF_ALLOC | flags),
        sh_addr: address,
        sh_offset: offset,
        sh_size: size,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: align,
        sh_entsize: 0,
    };
    let size = text.len() as u64;
    writer.write_section_header(&section(text_name, elf::SHT_PROGBITS, elf::SHF_EXECINSTR, text_at, text_at, size, 16));
    writer.write_dynamic_section_header(dynamic_at);
    writer.write_section_header(&section(data_name, elf::SHT_NOBITS, elf::SHF_WRITE, data_at, file_end, data_size, 64));
    writer.write_shstrtab_section_header();
    Some(bytes)
}

fn names(symbols: &Symbols, kind: Kind) -> Vec<&[u8]> {
    symbols.iter().filter(|(_, symbol)| symbol.kind == kind).map(|(name, _)| name.as_slice()).collect()
}

/// The index of a version by its position; without one, that of the library itself.
fn index(position: Option<usize>) -> Option<u16> {
    match position {
        Some(position) => u16::try_from(position).ok()?.checked_add(2),
        None => Some(elf::VER_NDX_GLOBAL),
    }
}

/// The machine code with its messages, and where each function begins.
fn text(machine: u16, functions: &[&[u8]]) -> Option<(Vec<u8>, Vec<u64>)> {
    let (entry, end): (usize, Vec<u8>) = match machine {
        elf::EM_X86_64 => (17, x86_64_end()),
        elf::EM_AARCH64 => (12, aarch64_end()),
        _ => return None,
    };
    let stop = entry * functions.len();
    let (mut code, mut messages, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for name in functions {
        let message = [
            b"slipway: ",
            *name,
            b" was called, and its library was left out of this installation: see python.without in image.yaml\n",
        ]
        .concat();
        let here = code.len();
        entries.push(here as u64);
        let to_message = i32::try_from(stop + end.len() + messages.len() - here).ok()?;
        let to_stop = i32::try_from(stop - here).ok()?;
        match machine {
            elf::EM_X86_64 => code.extend(x86_64(to_message, message.len(), to_stop)?),
            _ => code.extend(aarch64(to_message, message.len(), to_stop)?),
        }
        messages.extend(message);
    }
    code.extend(end);
    code.extend(messages);
    Some((code, entries))
}

/// `lea message(%rip), %rsi; mov $length, %edx; jmp stop`
fn x86_64(to_message: i32, length: usize, to_stop: i32) -> Option<Vec<u8>> {
    // a displacement counts from the end of its instruction
    let length = u32::try_from(length).ok()?.to_le_bytes();
    let (message, stop) = ((to_message - 7).to_le_bytes(), (to_stop - 17).to_le_bytes());
    Some([&[0x48, 0x8d, 0x35][..], &message, &[0xba], &length, &[0xe9], &stop].concat())
}

/// `write(2, message, length); exit_group(EXIT)`
fn x86_64_end() -> Vec<u8> {
    let exit = u32::from(EXIT).to_le_bytes();
    [
        &[0xb8, 1, 0, 0, 0][..], // mov $1, %eax
        &[0xbf, 2, 0, 0, 0],     // mov $2, %edi
        &[0x0f, 0x05],           // syscall
        &[0xb8, 231, 0, 0, 0],   // mov $231, %eax
        &[0xbf],
        &exit,         // mov $EXIT, %edi
        &[0x0f, 0x05], // syscall
        &[0x0f, 0x0b], // ud2
    ]
    .concat()
}

/// `adr x1, message; mov w2, length; b stop`
fn aarch64(to_message: i32, length: usize, to_stop: i32) -> Option<Vec<u8>> {
    let far = u32::try_from(to_message).ok().filter(|far| *far < 1 << 20)?;
    let length = u32::from(u16::try_from(length).ok()?);
    let adr = 0x1000_0001 | (far & 3) << 29 | (far >> 2) << 5;
    let mov = 0x5280_0002 | length << 5;
    let branch = 0x1400_0000 | u32::try_from((to_stop - 8) / 4).ok()?;
    Some([adr, mov, branch].map(u32::to_le_bytes).concat())
}

/// `write(2, message, length); exit_group(EXIT)`
fn aarch64_end() -> Vec<u8> {
    let mov = |register: u32, value: u16| 0x5280_0000 | u32::from(value) << 5 | register;
    let (svc, brk) = (0xd400_0001, 0xd420_0000);
    [mov(8, 64), mov(0, 2), svc, mov(8, 94), mov(0, EXIT), svc, brk].map(u32::to_le_bytes).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> Symbols {
        let symbol = |kind, version: Option<&[u8]>| Symbol { kind, version: version.map(<[u8]>::to_vec) };
        BTreeMap::from([
            (b"cudaWhat".to_vec(), symbol(Kind::Function, Some(b"CUDA_1"))),
            (b"cudaWhere".to_vec(), symbol(Kind::Function, None)),
            (b"table".to_vec(), symbol(Kind::Data, None)),
        ])
    }

    /// The code of GNU's assembler for the same instructions.
    #[test]
    fn code_of_both_architectures() {
        assert_eq!(
            x86_64(0x107, 0x20, 0x51).unwrap(),
            b"\x48\x8d\x35\x00\x01\x00\x00\xba\x20\x00\x00\x00\xe9\x40\x00\x00\x00"
        );
        let words: Vec<u32> = aarch64(0x1236, 0x20, 0x48)
            .unwrap()
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        assert_eq!(words, [0x5000_91a1, 0x5280_0402, 0x1400_0010]);
        assert!(aarch64(1 << 20, 1, 8).is_none(), "beyond the reach of adr");
        assert_eq!(aarch64_end()[..4], 0x5280_0808_u32.to_le_bytes());
    }

    #[test]
    fn a_reader_finds_every_symbol() {
        use object::{Object, ObjectSymbol};

        for machine in [elf::EM_X86_64, elf::EM_AARCH64] {
            let bytes = library("libcuda_what.so.1", machine, &symbols()).unwrap();
            let file = object::read::elf::ElfFile64::<object::Endianness>::parse(bytes.as_slice()).unwrap();
            let names: Vec<&str> = file.dynamic_symbols().map(|symbol| symbol.name().unwrap()).collect();
            assert_eq!(names, ["cudaWhat", "cudaWhere", "table"]);
            assert!(file.dynamic_symbols().all(|symbol| symbol.is_definition()));
        }
        assert_eq!(library("libx.so", elf::EM_RISCV, &symbols()), None);
    }
}

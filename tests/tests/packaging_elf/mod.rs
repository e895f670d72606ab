//! What an ELF program of 64 bits takes and asks for: its address space, its loader, and the shared libraries of its dynamic section.

/// Of the ELF specification: the kind of a program header, and tags of the dynamic section.
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// A program header.
struct Header {
    kind: u64,
    /// In the file.
    offset: u64,
    address: u64,
    /// In the file.
    length: u64,
    /// In memory.
    mapped: u64,
}

fn headers(program: &[u8]) -> Vec<Header> {
    assert_eq!(&program[..6], b"\x7fELF\x02\x01", "no little-endian ELF of 64 bits");
    let (first, size, count) = (number(program, 32, 8), number(program, 54, 2), number(program, 56, 2));
    let fields = |at: usize| Header {
        kind: number(program, at, 4),
        offset: number(program, at + 8, 8),
        address: number(program, at + 16, 8),
        length: number(program, at + 32, 8),
        mapped: number(program, at + 40, 8),
    };
    (0..count).map(|index| fields(place(first + index * size))).collect()
}

/// The address space from its first to its last byte, once it is loaded.
pub fn address_space(program: &[u8]) -> u64 {
    let headers = headers(program);
    let loaded = || headers.iter().filter(|header| header.kind == PT_LOAD);
    let end = loaded().map(|header| header.address + header.mapped).max().unwrap();
    end - loaded().map(|header| header.address).min().unwrap()
}

/// The loader that starts it.
pub fn loader(program: &[u8]) -> String {
    let headers = headers(program);
    let Header { offset, length, .. } = headers.iter().find(|header| header.kind == PT_INTERP).unwrap();
    let path = program[place(*offset)..place(offset + length)].split(|byte| *byte == 0).next().unwrap();
    String::from_utf8(path.to_vec()).unwrap()
}

/// DT_NEEDED, in order.
pub fn needed(program: &[u8]) -> Vec<String> {
    let headers = headers(program);
    let in_file = |address: u64| {
        headers.iter().find_map(|Header { kind, offset, address: start, length, .. }| {
            (*kind == PT_LOAD && (*start..start + length).contains(&address))
                .then(|| place(address - start + offset))
        })
    };
    let Header { offset, length, .. } = headers.iter().find(|header| header.kind == PT_DYNAMIC).unwrap();
    let entries: Vec<(u64, u64)> = (*offset..offset + length)
        .step_by(16)
        .map(|at| (number(program, place(at), 8), number(program, place(at) + 8, 8)))
        .collect();
    let strings = entries.iter().find(|(tag, _)| *tag == DT_STRTAB).unwrap().1;
    let strings = in_file(strings).unwrap();
    let name = |at: u64| {
        let bytes = program[strings + place(at)..].split(|byte| *byte == 0).next().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    entries.iter().filter(|(tag, _)| *tag == DT_NEEDED).map(|(_, at)| name(*at)).collect()
}

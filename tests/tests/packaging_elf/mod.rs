//! The shared libraries that an ELF program of 64 bits asks for, read from its dynamic section.

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

/// Of each program header: type, offset in the file, address, length in the file.
fn headers(program: &[u8]) -> Vec<(u64, u64, u64, u64)> {
    assert_eq!(&program[..6], b"\x7fELF\x02\x01", "no little-endian ELF of 64 bits");
    let (first, size, count) = (number(program, 32, 8), number(program, 54, 2), number(program, 56, 2));
    let fields = |at: usize| {
        (
            number(program, at, 4),
            number(program, at + 8, 8),
            number(program, at + 16, 8),
            number(program, at + 32, 8),
        )
    };
    (0..count).map(|index| fields(place(first + index * size))).collect()
}

/// The loader that starts it.
pub fn loader(program: &[u8]) -> String {
    let (_, offset, _, length) = headers(program).into_iter().find(|header| header.0 == PT_INTERP).unwrap();
    let path = program[place(offset)..place(offset + length)].split(|byte| *byte == 0).next().unwrap();
    String::from_utf8(path.to_vec()).unwrap()
}

/// DT_NEEDED, in order.
pub fn needed(program: &[u8]) -> Vec<String> {
    let headers = headers(program);
    let in_file = |address: u64| {
        headers.iter().find_map(|(kind, offset, start, length)| {
            (*kind == PT_LOAD && (*start..start + length).contains(&address))
                .then(|| place(address - start + offset))
        })
    };
    let (_, offset, _, length) = *headers.iter().find(|header| header.0 == PT_DYNAMIC).unwrap();
    let entries: Vec<(u64, u64)> = (offset..offset + length)
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

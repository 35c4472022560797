use proptest::prelude::*;

use super::*;
use crate::sidecar::smtp::memory::Memory;

const PLENTY: usize = 1 << 20;

/// What comes of an input: how much belongs to the text, and the text.
fn read_in(chunks: &[&[u8]]) -> Option<(usize, Text)> {
    let mut reader = Reader::new(PLENTY, None, Memory::new(PLENTY).hold()).unwrap();
    let mut total = 0;
    for chunk in chunks {
        let (taken, ended) = reader.take(chunk);
        total += taken;
        if ended {
            return reader.finish().ok().map(|text| (total, text));
        }
        assert_eq!(taken, chunk.len());
    }
    None
}

/// The same by the words of RFC 5321, section 4.5.2, with an end of line put before the text's first line.
fn by_the_words(input: &[u8]) -> Option<(usize, Vec<u8>)> {
    let text = [b"\r\n", input].concat();
    let end = text.windows(5).position(|window| window == b"\r\n.\r\n")?;
    let text = String::from_utf8(text[..end + 2].to_vec()).unwrap();
    let lines: Vec<&str> = text
        .split("\r\n")
        .map(|line| line.strip_prefix('.').unwrap_or(line))
        .collect();
    Some((end + 3, lines.join("\r\n").into_bytes()[2..].to_vec()))
}

fn bare(input: &[u8]) -> Endings {
    let text = String::from_utf8(input.to_vec()).unwrap();
    let rest = text.replace("\r\n", "");
    Endings {
        bare_cr: rest.contains('\r'),
        bare_lf: rest.contains('\n'),
        nul: rest.contains('\0'),
    }
}

fn assert_as_by_the_words(input: &[u8]) {
    let whole = read_in(&[input]);
    let singly = read_in(&input.chunks(1).collect::<Vec<_>>());
    for read in [whole, singly] {
        match (read, by_the_words(input)) {
            (None, None) => {}
            (Some((taken, text)), Some((end, data))) => {
                assert_eq!((taken, &text.data), (end, &data), "{:?}", input.escape_ascii());
                let sent = &input[..taken - 3];
                assert_eq!(text.endings, bare(sent), "{:?}", input.escape_ascii());
            }
            (read, words) => panic!("{:?}: {read:?} instead of {words:?}", input.escape_ascii()),
        }
    }
}

#[test]
fn every_short_text_ends_where_the_standard_says_and_nowhere_else() {
    const OCTETS: [u8; 5] = [b'\r', b'\n', b'.', 0, b'a'];
    for length in 0..=7_u32 {
        for number in 0..OCTETS.len().pow(length) {
            let mut rest = number;
            let input: Vec<u8> = (0..length)
                .map(|_| {
                    let octet = OCTETS[rest % OCTETS.len()];
                    rest /= OCTETS.len();
                    octet
                })
                .collect();
            assert_as_by_the_words(&input);
        }
    }
}

#[test]
fn no_other_sequence_ends_a_text() {
    for (sequence, kept) in [
        ("\n.\n", "\n.\n"),
        ("\n.\r\n", "\n.\r\n"),
        ("\r\n.\n", "\r\n\n"),
        ("\r.\r", "\r.\r"),
        ("\r.\r\n", "\r.\r\n"),
        ("\r\n.\r", "\r\n\r"),
        ("\r\n.\r\r\n", "\r\n\r\r\n"),
        ("\r\n\0.\r\n", "\r\n\0.\r\n"),
        ("\r\n.\0\r\n", "\r\n\0\r\n"),
        ("\r\n.\r\0\n", "\r\n\r\0\n"),
        ("\r\n. \r\n", "\r\n \r\n"),
        ("\r\n..\r\n", "\r\n.\r\n"),
        ("\r\n.\n\r\n", "\r\n\n\r\n"),
        ("\r\r\n.\r.\r\n", "\r\r\n\r.\r\n"),
        ("\r\n\r.\r\n", "\r\n\r.\r\n"),
    ] {
        let input = format!("a{sequence}MAIL FROM:<x@example.com>\r\n.\r\n");
        let (taken, text) = read_in(&[input.as_bytes()]).unwrap();
        assert_eq!(taken, input.len(), "{sequence:?}");
        let data = String::from_utf8(text.data).unwrap();
        assert_eq!(data, format!("a{kept}MAIL FROM:<x@example.com>\r\n"), "{sequence:?}");
        let proper = sequence.replace("\r\n", "").chars().all(|c| c == '.' || c == ' ');
        assert_eq!(text.endings.are_clean(), proper, "{sequence:?}");
    }
}

#[test]
fn a_dot_on_the_first_line_ends_an_empty_text() {
    let (taken, text) = read_in(&[b".\r\nQUIT\r\n"]).unwrap();
    assert_eq!((taken, text.data.as_slice(), text.longest_line), (3, &b""[..], 0));
    assert!(text.endings.are_clean());
}

#[test]
fn the_dot_that_smtp_puts_before_a_dot_is_taken_away() {
    let (_, text) = read_in(&[b"..\r\n...a\r\n.b\r\nc.\r\n.\r\n"]).unwrap();
    assert_eq!(text.data, b".\r\n..a\r\nb\r\nc.\r\n");
}

#[test]
fn each_ending_that_is_none_is_noted_by_its_name() {
    let endings = |input: &[u8]| read_in(&[input]).unwrap().1.endings;
    let none = Endings::default();
    assert_eq!(endings(b"a\r\n.\r\n"), none);
    assert_eq!(endings(b"a\rb\r\n.\r\n"), Endings { bare_cr: true, ..none });
    assert_eq!(endings(b"a\nb\r\n.\r\n"), Endings { bare_lf: true, ..none });
    assert_eq!(endings(b"a\0b\r\n.\r\n"), Endings { nul: true, ..none });
    assert_eq!(endings(b"a\r\n.\rb\r\n.\r\n"), Endings { bare_cr: true, ..none });
}

#[test]
fn the_longest_line_is_noted_without_its_ending_and_its_dot() {
    let longest = |input: &[u8]| read_in(&[input]).unwrap().1.longest_line;
    assert_eq!(longest(b"abc\r\nab\r\n.\r\n"), 3);
    assert_eq!(longest(b"..bc\r\n.\r\n"), 3);
    assert_eq!(longest(b"abc\nabcd\ra\r\n.\r\n"), 4);
    let line = [vec![b'x'; 999], b"\r\n.\r\n".to_vec()].concat();
    assert_eq!(longest(&line), 999);
}

#[test]
fn a_text_of_the_limit_is_kept_and_one_octet_more_is_not() {
    let memory = Memory::new(PLENTY);
    let finished = |octets: usize| {
        let mut reader = Reader::new(1000, None, memory.hold()).unwrap();
        let input = [vec![b'x'; octets - 2], b"\r\n.\r\n".to_vec()].concat();
        assert_eq!(reader.take(&input), (input.len(), true));
        reader.finish().map(|text| text.data.len())
    };
    assert_eq!(finished(1000), Ok(1000));
    assert_eq!(finished(1001), Err(Dropped::TooLarge));
}

#[test]
fn the_dots_that_smtp_adds_do_not_count() {
    let mut reader = Reader::new(3, None, Memory::new(PLENTY).hold()).unwrap();
    assert_eq!(reader.take(b"..\r\n.\r\n"), (7, true));
    assert_eq!(reader.finish().unwrap().data, b".\r\n");
}

#[test]
fn a_text_that_is_too_large_is_read_to_its_end_and_holds_nothing() {
    let memory = Memory::new(PLENTY);
    let mut reader = Reader::new(10_000, None, memory.hold()).unwrap();
    for _ in 0..100 {
        assert_eq!(reader.take(&[b'x'; 1000]), (1000, false));
    }
    assert_eq!(memory.free(), PLENTY);
    assert_eq!(reader.take(b"\r\n.\r\nRSET"), (5, true));
    assert_eq!(reader.finish().err(), Some(Dropped::TooLarge));
}

#[test]
fn a_text_holds_the_memory_it_takes_until_it_is_gone() {
    let memory = Memory::new(PLENTY);
    let mut reader = Reader::new(PLENTY, None, memory.hold()).unwrap();
    reader.take(&vec![b'x'; 100_000]);
    reader.take(b"\r\n.\r\n");
    let text = reader.finish().unwrap();
    assert!(PLENTY - memory.free() >= text.data.capacity());
    drop(text);
    assert_eq!(memory.free(), PLENTY);
}

#[test]
fn a_text_that_finds_no_memory_is_read_to_its_end_and_gives_back_what_it_had() {
    let memory = Memory::new(50_000);
    let mut reader = Reader::new(PLENTY, None, memory.hold()).unwrap();
    for _ in 0..100 {
        reader.take(&[b'x'; 1000]);
    }
    assert_eq!(memory.free(), 50_000);
    assert_eq!(reader.take(b"\r\n.\r\n"), (5, true));
    assert_eq!(reader.finish().err(), Some(Dropped::NoMemory));
}

#[test]
fn memory_that_is_nearly_full_is_used_to_nearly_its_end() {
    let memory = Memory::new(50_000);
    let mut reader = Reader::new(PLENTY, None, memory.hold()).unwrap();
    for _ in 0..44 {
        reader.take(&[b'x'; 1000]);
    }
    reader.take(b"\r\n.\r\n");
    assert_eq!(reader.finish().unwrap().data.len(), 44_002);
}

#[test]
fn what_is_announced_is_held_at_once_and_refused_where_it_is_not_free() {
    let memory = Memory::new(50_000);
    let reader = Reader::new(PLENTY, Some(30_000), memory.hold()).unwrap();
    assert_eq!(memory.free(), 20_000);
    assert!(Reader::new(PLENTY, Some(30_000), memory.hold()).is_none());
    assert_eq!(memory.free(), 20_000);
    drop(reader);
    assert_eq!(memory.free(), 50_000);
}

#[test]
fn a_text_of_the_announced_size_takes_no_more_than_that() {
    let memory = Memory::new(30_002);
    let mut reader = Reader::new(PLENTY, Some(30_002), memory.hold()).unwrap();
    for _ in 0..30 {
        reader.take(&[b'x'; 1000]);
    }
    reader.take(b"\r\n.\r\n");
    assert_eq!(reader.finish().unwrap().data.len(), 30_002);
}

#[test]
fn a_text_larger_than_announced_is_kept_where_there_is_memory() {
    let mut reader = Reader::new(PLENTY, Some(10), Memory::new(PLENTY).hold()).unwrap();
    for _ in 0..30 {
        reader.take(&[b'x'; 1000]);
    }
    reader.take(b"\r\n.\r\n");
    assert_eq!(reader.finish().unwrap().data.len(), 30_002);
}

proptest! {
    #[test]
    fn a_text_is_the_same_in_any_chunks(
        octets in proptest::collection::vec(prop_oneof![
            Just(b"\r\n".to_vec()), Just(b".".to_vec()), Just(b"\r".to_vec()), Just(b"\n".to_vec()), Just(b"\0".to_vec()),
            Just(b"\r\n.\r".to_vec()), proptest::collection::vec(b'a'..=b'z', 0..100),
        ], 0..60),
        sizes in proptest::collection::vec(1_usize..40, 1..200),
    ) {
        let input = [octets.concat(), b"\r\n.\r\n".to_vec()].concat();
        let mut chunks = Vec::new();
        let mut rest = input.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, next) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = next;
        }
        let (whole_taken, whole) = read_in(&[&input]).unwrap();
        let (taken, text) = read_in(&chunks).unwrap();
        prop_assert_eq!(taken, whole_taken);
        prop_assert_eq!(text.data, whole.data);
        prop_assert_eq!(text.endings, whole.endings);
        prop_assert_eq!(text.longest_line, whole.longest_line);
        assert_as_by_the_words(&input);
    }
}

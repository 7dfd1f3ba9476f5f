//! Numbers and strings.

use std::sync::Arc;

/// Appends a number in decimal.
pub(super) fn number(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a number or `null`.
pub(super) fn optional_number(value: Option<impl itoa::Integer>, out: &mut Vec<u8>) {
    match value {
        Some(value) => number(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends the 16 hexadecimal digits of a number.
pub(super) fn hexadecimal(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 16];
    for (at, byte) in value.to_be_bytes().into_iter().enumerate() {
        digits[2 * at] = HEX[usize::from(byte >> 4)];
        digits[2 * at + 1] = HEX[usize::from(byte & 15)];
    }
    out.extend_from_slice(&digits);
}

/// Appends a number in hexadecimal without leading zeros.
pub(super) fn hexadecimal_short(value: u64, out: &mut Vec<u8>) {
    let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
    for at in (0..digits).rev() {
        out.push(HEX[(value >> (4 * at) & 15) as usize]);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a string or `null`.
pub(super) fn optional_string(text: Option<&Arc<str>>, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a string in quotes.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped(text.as_bytes(), out);
    }
    out.push(b'"');
}

/// Whether nothing has to be escaped, eight bytes at a time.
fn is_plain(bytes: &[u8]) -> bool {
    let Some(tail) = bytes.last_chunk() else {
        return bytes.iter().all(|byte| !needs_escape(*byte));
    };
    bytes
        .as_chunks()
        .0
        .iter()
        .chain([tail])
        .all(|word| !word_needs_escape(u64::from_le_bytes(*word)))
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether one of eight bytes needs an escape: the known test for a byte below n, which for the
/// quote and the backslash is the test for zero after XOR.
const fn word_needs_escape(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES * 0x80;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (below | quote | backslash) & HIGH != 0
}

#[cold]
fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            0x08 => out.extend_from_slice(br"\b"),
            b'\t' => out.extend_from_slice(br"\t"),
            b'\n' => out.extend_from_slice(br"\n"),
            0x0c => out.extend_from_slice(br"\f"),
            b'\r' => out.extend_from_slice(br"\r"),
            0..0x20 => {
                out.extend_from_slice(br"\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(*byte),
        }
    }
}

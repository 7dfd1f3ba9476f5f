//! Tokens by which one who asks is known, in files.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// More bytes than a token has.
const MOST: u64 = 1 << 16;

/// The token in a file: its first line. It is read for each use, so that one that is replaced is in
/// force at once.
///
/// # Errors
///
/// Why there is none.
pub fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(MOST).read_to_string(&mut text));
    let path = file.display();
    read.map_err(|error| io::Error::new(error.kind(), format!("cannot read {path}: {error}")))?;
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(token.to_owned()),
        _ => Err(io::Error::other(format!("{path} has no token in its first line"))),
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    #[test]
    fn a_token_is_the_first_line() {
        let file = env::temp_dir().join(format!("ns-trace-test-{}-first-line", process::id()));
        let said = |text: &str| {
            fs::write(&file, text).unwrap();
            read(&file).map_err(|error| error.to_string())
        };
        assert_eq!(said(" s3cret\r\nmore\n"), Ok("s3cret".to_owned()));
        let nothing = format!("{} has no token in its first line", file.display());
        for text in ["", "\n", " \ns3cret\n"] {
            assert_eq!(said(text), Err(nothing.clone()));
        }
        fs::remove_file(&file).unwrap();
        let why = read(&file).unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::NotFound);
        assert!(why.to_string().starts_with(&format!("cannot read {}: ", file.display())));
    }
}

//! The words of nsenter(1) as clap wants them.
//!
//! getopt(3) lets an optional value follow its letter at once (`-m/path`), and everything from the
//! first word on that is no option belongs to the program.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

/// Letters that may have a value, and how the option is written out.
const OPTIONAL: [(u8, &str); 10] = [
    (b'm', "mount"),
    (b'u', "uts"),
    (b'i', "ipc"),
    (b'n', "net"),
    (b'p', "pid"),
    (b'C', "cgroup"),
    (b'U', "user"),
    (b'T', "time"),
    (b'r', "root"),
    (b'w', "wd"),
];

/// Letters and words that take a value.
const REQUIRED: [&str; 11] = [
    "-t",
    "-N",
    "-S",
    "-G",
    "-W",
    "--target",
    "--net-socket",
    "--setuid",
    "--setgid",
    "--wdns",
    "--unshare",
];

/// Writes options out, and puts `--` in front of the rest, in which one that was there stays.
#[must_use]
pub fn canonical(words: Vec<OsString>) -> Vec<OsString> {
    let mut full = Vec::with_capacity(words.len() + 1);
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next_if(|word| is_option(word)) {
        let bytes = word.as_bytes();
        let takes_next = if bytes.starts_with(b"--") {
            let is_it = |name: &&str| name.as_bytes().starts_with(bytes) && name.starts_with("--");
            let takes = !bytes.contains(&b'=') && REQUIRED.iter().any(is_it);
            full.push(word);
            takes
        } else {
            cluster(bytes, &mut full)
        };
        if takes_next {
            full.extend(words.next());
        }
    }
    full.push("--".into());
    full.extend(words);
    full
}

fn is_option(word: &OsStr) -> bool {
    word.len() > 1 && word != "--" && word.as_bytes().starts_with(b"-")
}

/// Takes `-amn/path` apart; returns whether the last letter takes the next word.
fn cluster(word: &[u8], full: &mut Vec<OsString>) -> bool {
    let mut letters = word.get(1..).unwrap_or_default();
    while let Some((letter, rest)) = letters.split_first() {
        letters = rest;
        let option = [b'-', *letter];
        if let Some((_, name)) = OPTIONAL.iter().find(|(known, _)| known == letter) {
            let value = rest.strip_prefix(b"=").unwrap_or(rest);
            let mut option = format!("--{name}").into_bytes();
            if !rest.is_empty() {
                option.push(b'=');
                option.extend(value);
            }
            full.push(OsString::from_vec(option));
            return false;
        }
        full.push(OsString::from_vec(option.to_vec()));
        if REQUIRED.iter().any(|known| known.as_bytes() == option) {
            if !rest.is_empty() {
                full.push(OsString::from_vec(rest.to_vec()));
            }
            return rest.is_empty();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_getopt_does() {
        for (words, full) in [
            ("", "--"),
            ("ls -a", "-- ls -a"),
            ("-t 1 -m ls", "-t 1 --mount -- ls"),
            ("-t1 -m/a -n=/b", "-t 1 --mount=/a --net=/b --"),
            ("-at1 ls", "-a -t 1 -- ls"),
            ("-aFm", "-a -F --mount --"),
            ("-r/a -w x", "--root=/a --wd -- x"),
            ("-mu", "--mount=u --"),
            ("--target 1 --net=/a ls", "--target 1 --net=/a -- ls"),
            ("--targ 1 --setuid=5 -S 5 ls", "--targ 1 --setuid=5 -S 5 -- ls"),
            ("-n -- ls -- x", "--net -- -- ls -- x"),
            ("net:1 -- ls", "-- net:1 -- ls"),
            ("-t", "-t --"),
            ("- x", "-- - x"),
            ("-x y", "-x -- y"),
        ] {
            let words = words.split_whitespace().map(OsString::from).collect();
            let canonical = canonical(words).join(OsStr::new(" "));
            assert_eq!(canonical, full);
        }
    }
}

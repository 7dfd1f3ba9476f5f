//! The words of ip(8) as clap wants them: commands in full, long options with two dashes.

use std::ffi::{OsStr, OsString};

/// Commands in the order in which ip(8) compares what is shortened, and then our own.
const COMMANDS: [(&str, &str); 15] = [
    ("list", "list"),
    ("show", "list"),
    ("lst", "list"),
    ("list-id", "list-id"),
    ("help", "help"),
    ("add", "add"),
    ("set", "set"),
    ("delete", "delete"),
    ("identify", "identify"),
    ("pids", "pids"),
    ("exec", "exec"),
    ("monitor", "monitor"),
    ("attach", "attach"),
    ("pin", "pin"),
    ("unpin", "unpin"),
];

/// Options with one dash, in the order in which ip(8) compares what is shortened.
const OPTIONS: [(&str, &str); 9] = [
    ("-timestamp", "--timestamp"),
    ("-tshort", "--timestamp"),
    ("-ts", "--timestamp"),
    ("-force", "--force"),
    ("-batch", "--batch"),
    ("-json", "--json"),
    ("-pretty", "--pretty"),
    ("-netns", "--netns"),
    ("-all", "--all"),
];

/// Options that take the next word.
const WITH_VALUE: [&str; 4] = ["--batch", "--netns", "-b", "-n"];

/// Writes in full what ip(8) takes shortened behind `netns`; what is unknown stays as it is.
#[must_use]
pub fn canonical(words: Vec<OsString>) -> Vec<OsString> {
    let mut full = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let is_option = word.as_encoded_bytes().starts_with(b"-") && word != "-";
        if !is_option {
            full.push(find(&COMMANDS, &word, 1).map_or(word, OsString::from));
            break;
        }
        // One letter is an option of clap's as well.
        let option = find(&OPTIONS, &word, 3).map_or(word, OsString::from);
        let takes_value = WITH_VALUE.iter().any(|with| option == *with);
        full.push(option);
        full.extend(takes_value.then(|| words.next()).flatten());
    }
    full.extend(words);
    full
}

/// The first of `names` that begins with `word`, which must have at least `least` bytes.
fn find(names: &[(&str, &'static str)], word: &OsStr, least: usize) -> Option<&'static str> {
    let word = word.to_str().filter(|word| word.len() >= least)?;
    names.iter().find(|(name, _)| name.starts_with(word)).map(|(_, full)| *full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(words: &str) -> String {
        let words = canonical(words.split_whitespace().map(OsString::from).collect());
        words.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn shortened_words_are_those_of_ip() {
        for (short, long) in [
            ("l", "list"),
            ("lis", "list"),
            ("list-", "list-id"),
            ("s", "list"),
            ("se a 1", "set a 1"),
            ("a x", "add x"),
            ("at x 1", "attach x 1"),
            ("del x", "delete x"),
            ("p x", "pids x"),
            ("pin pid:1 x", "pin pid:1 x"),
            ("unp x", "unpin x"),
            ("-all del", "--all delete"),
            ("-al e ls -all", "--all exec ls -all"),
            ("-j -p l", "-j -p list"),
            ("-n l l", "-n l list"),
            ("-netns add list", "--netns add list"),
            ("-b - -force", "-b - --force"),
            ("-js", "--json"),
            ("--json list", "--json list"),
            ("frob list", "frob list"),
            ("exec list -force", "exec list -force"),
        ] {
            assert_eq!(full(short), long);
        }
    }
}

//! Users and groups by name.
//!
//! The files are looked into first: what is not there is asked of getent(1), which knows of LDAP
//! and the like, so that this program needs nothing of them itself.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
};

use rustix::process::getuid;

/// The shell of last resort.
const SHELL: &str = "/bin/sh";

/// A line of a database of accounts: passwd(5) or group(5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// The name.
    pub name: OsString,
    /// The number of the user or group.
    pub id: u32,
    /// The other fields of the line, from the fourth on.
    rest: Vec<OsString>,
}

/// Who is meant by `key`, a name or a number in decimal; `database` is `passwd` or `group`.
#[must_use]
pub fn find(database: &str, key: &OsStr) -> Option<Account> {
    in_file(database, key).or_else(|| asked(database, key).ok()?)
}

/// The number of the user who is meant by `key`: a number is one, whether anybody has it or not. Who was
/// found once is known where nobody can be asked any more.
///
/// # Errors
///
/// If there is no such user, or nobody can be asked.
pub fn user(key: &str) -> Result<u32, String> {
    if let Ok(number) = key.parse() {
        return Ok(number);
    }
    match in_file("passwd", key.as_ref()) {
        Some(account) => Ok(account.id),
        None => remembered(key, asked("passwd", key.as_ref())),
    }
}

/// Whom getent(1) has said a user to be; where it cannot be asked, what it has said before.
fn remembered(key: &str, said: io::Result<Option<Account>>) -> Result<u32, String> {
    static SAID: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());
    let mut before = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    match (said, before.get(key)) {
        (Ok(Some(account)), _) => {
            before.insert(key.to_owned(), account.id);
            Ok(account.id)
        }
        (Ok(None), _) => Err(format!("no user `{key}`")),
        (Err(_), Some(id)) => Ok(*id),
        (Err(error), None) => Err(format!(
            "no user `{key}` in /etc/passwd, and getent, which may know more, cannot be asked \
             ({error}): give the number"
        )),
    }
}

fn in_file(database: &str, key: &OsStr) -> Option<Account> {
    in_lines(&fs::read(Path::new("/etc").join(database)).unwrap_or_default(), key)
}

/// Whom getent(1) knows; nobody if there is none.
fn asked(database: &str, key: &OsStr) -> io::Result<Option<Account>> {
    match Command::new("getent").arg(database).arg("--").arg(key).output() {
        Ok(output) => Ok(in_lines(&output.stdout, key)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn in_lines(text: &[u8], key: &OsStr) -> Option<Account> {
    let id = key.to_str().and_then(|key| key.parse::<u32>().ok());
    let mut accounts = text.split(|byte| *byte == b'\n').filter_map(account);
    accounts.find(|account| account.name == key || Some(account.id) == id)
}

fn account(line: &[u8]) -> Option<Account> {
    let mut fields = line.split(|byte| *byte == b':').map(|field| OsString::from_vec(field.into()));
    let (name, _password, id) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Account { name, id: id.to_str()?.parse().ok()?, rest: fields.collect() })
}

/// The login shell of this process' user, and the name that makes a shell one.
#[must_use]
pub fn login_shell() -> (OsString, Vec<OsString>) {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty()).or_else(|| {
        let account = find("passwd", getuid().as_raw().to_string().as_ref())?;
        account.rest.get(3).cloned().filter(|shell| !shell.is_empty())
    });
    let shell = shell.unwrap_or_else(|| SHELL.into());
    let file = Path::new(&shell).file_name().unwrap_or(&shell).as_bytes();
    let name = OsString::from_vec([b"-", file].concat());
    (shell, vec![name])
}

/// The first range of users (`-u`) or groups (`-g`) that is granted to `name` by other means than
/// the files, as getsubids(1) tells: the first and how many.
#[must_use]
pub fn granted(kind: &str, name: &OsStr) -> Option<(u32, u32)> {
    let mut command = Command::new("getsubids");
    if kind == "-g" {
        command.arg(kind);
    }
    let output = command.arg(name).output().ok()?;
    // Such as `0: me 100000 65536`.
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.lines().next()?.split_whitespace().rev();
    let (count, first) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((first, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name_and_number() {
        let text = b"root:x:0:0:root:/root:/bin/bash\n\nbad\na:x:1000:1000::/:/bin/zsh\n";
        let zero = in_lines(text, "0".as_ref()).unwrap();
        assert_eq!(in_lines(text, "root".as_ref()), Some(zero));
        let user = in_lines(text, "a".as_ref()).unwrap();
        assert_eq!((user.id, &user.rest[3]), (1000, &OsString::from("/bin/zsh")));
        assert_eq!(in_lines(text, "bad".as_ref()), None);
    }

    #[test]
    fn a_number_is_a_user_whether_anybody_has_it_or_not() {
        assert_eq!(user("4000000007"), Ok(4_000_000_007));
        assert_eq!(user("root"), Ok(0));
        assert_eq!(user("no such user").unwrap_err(), "no user `no such user`");
    }

    #[test]
    fn who_was_found_is_known_where_nobody_can_be_asked() {
        let refused = || Err(io::Error::from(io::ErrorKind::PermissionDenied));
        let found = account(b"far:x:7:7::/:/bin/sh");
        assert_eq!(remembered("far", Ok(found)), Ok(7));
        assert_eq!(remembered("far", refused()), Ok(7));
        let why = remembered("farther", refused()).unwrap_err();
        assert!(why.contains("`farther`") && why.contains("getent"), "{why}");
        assert_eq!(remembered("far", Ok(None)).unwrap_err(), "no user `far`");
    }
}

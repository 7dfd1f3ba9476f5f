//! A program of this side in a foreign file system.
//!
//! A static program is opened at the start and executed by its descriptor. Of a dynamic one the
//! kernel would look for the loader by its path in there: so the loader is executed by its
//! descriptor, and finds program and libraries below the old root, which stays open as one more
//! descriptor, through /proc/self/fd.

use std::{
    collections::BTreeSet,
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::{fd::AsRawFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::{Access, CWD, Mode, OFlags, access, openat},
    io::{FdFlags, fcntl_setfd},
};
use serde::Serialize;

use super::{Action, Environment, Scene, Trouble, word};
use crate::sys::{account, program};

/// Exit statuses, as of every program.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Under which names files are kept.
const PROGRAM: &str = "program of this side";
const ROOT: &str = "root of this side";

/// `PT_INTERP` of elf(5).
const INTERPRETER: u32 = 3;

/// Replaces this process by a program of this side.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct HostExec {
    /// The program, looked up in PATH at the start, and its arguments; none is a login shell.
    #[serde(serialize_with = "word::as_texts")]
    pub command: Vec<OsString>,
    /// Its environment.
    pub environment: Environment,
}

impl HostExec {
    /// The program as it was named, and its arguments.
    fn words(&self) -> (OsString, Vec<OsString>) {
        match self.command.first() {
            Some(file) => (file.clone(), self.command.clone()),
            None => account::login_shell(),
        }
    }
}

impl Action for HostExec {
    fn describe(&self) -> String {
        match &*self.command {
            [] => "exec the login shell of this side".to_owned(),
            command => format!("exec, as opened on this side, {}", word::command(command)),
        }
    }

    fn prepare(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let (name, _) = self.words();
        let told = |error: &io::Error| cannot(&name, error);
        let path = find(&name).map_err(|error| told(&error))?;
        let mut file = File::open(&path).map_err(|error| told(&error))?;
        let loader = interpreter(&mut file).map_err(|error| told(&error))?;
        if let Some(loader) = &loader {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = openat(CWD, "/", flags, Mode::empty());
            scene.keep(ROOT, root.map_err(|errno| told(&errno.into()))?);
            file = File::open(loader).map_err(|error| told(&error))?;
            scene.libraries = libraries(loader, &path).map_err(|error| told(&error))?;
        }
        scene.program_path = path;
        scene.keep(PROGRAM, file.into());
        Ok(())
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        scene.before_exec()?;
        if let Environment::Only(variables) = &self.environment {
            program::replace_environment(variables);
        }
        let (name, mut args) = self.words();
        let lost = || Trouble::new("the program was not opened");
        if let Some(root) = scene.file(ROOT) {
            if !Path::new("/proc/self/fd").exists() {
                return Err(Trouble::new(format!(
                    "cannot execute {}: in there is no /proc, through which it would find its libraries",
                    word::text(&name)
                ))
                .status(NOT_EXECUTABLE));
            }
            fcntl_setfd(root, FdFlags::empty()).map_err(|errno| cannot(&name, &errno.into()))?;
            args = scene.loaded(&format!("/proc/self/fd/{}", root.as_raw_fd()), &args);
        }
        let file = scene.file(PROGRAM).ok_or_else(lost)?;
        Err(cannot(&name, &program::exec_file(file, &args)))
    }
}

impl Scene {
    /// The words that have the loader run the program below a root.
    fn loaded(&self, root: &str, args: &[OsString]) -> Vec<OsString> {
        let below = |path: &Path| {
            let mut whole = OsString::from(root);
            whole.push(path);
            whole
        };
        let directories: Vec<_> =
            self.libraries.iter().map(|directory| below(Path::new(directory))).collect();
        let mut words = vec!["ld.so".into(), "--library-path".into()];
        words.push(directories.join(OsStr::new(":")));
        words.extend(["--argv0".into(), args.first().cloned().unwrap_or_default()]);
        words.push(below(&self.program_path));
        words.extend(args.iter().skip(1).cloned());
        words
    }
}

fn cannot(name: &OsStr, error: &io::Error) -> Trouble {
    let status = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
    Trouble::of(format!("cannot execute {} of this side", word::text(name)), error).status(status)
}

/// Where a program is.
fn find(name: &OsStr) -> io::Result<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Path::new(name).canonicalize();
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let mut places = env::split_paths(&path).map(|directory| directory.join(name));
    let is_program = |place: &PathBuf| place.is_file() && access(place, Access::EXEC_OK).is_ok();
    let found = places.find(is_program);
    found.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?.canonicalize()
}

/// The loader of a program (elf(5)); none if it is static.
fn interpreter(file: &mut File) -> io::Result<Option<PathBuf>> {
    let wrong = || {
        io::Error::other("only ELF programs of this machine's kind can be taken along, no scripts")
    };
    let mut header = [0; 64];
    let length = file.read(&mut header)?;
    // 64 bits, little-endian.
    if length < header.len() || !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(wrong());
    }
    let half = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 2).and_then(|part| part.try_into().ok()).map(u16::from_le_bytes)
    };
    let long = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map(u64::from_le_bytes)
    };
    let start = long(&header, 32).ok_or_else(wrong)?;
    let (size, count) =
        (half(&header, 54).ok_or_else(wrong)?, half(&header, 56).ok_or_else(wrong)?);
    for number in 0..u64::from(count) {
        file.seek(SeekFrom::Start(start.saturating_add(number * u64::from(size))))?;
        let mut entry = [0; 56];
        file.read_exact(&mut entry)?;
        if entry.starts_with(&INTERPRETER.to_le_bytes()) {
            let (at, length) = (long(&entry, 8), long(&entry, 32));
            let (at, length) = (at.ok_or_else(wrong)?, length.ok_or_else(wrong)?);
            file.seek(SeekFrom::Start(at))?;
            let mut path = Vec::new();
            file.take(length.min(4096)).read_to_end(&mut path)?;
            path.retain(|byte| *byte != 0);
            return Ok(Some(OsStr::from_bytes(&path).into()));
        }
    }
    Ok(None)
}

/// Where the loader finds the libraries of a program on this side.
fn libraries(loader: &Path, program: &Path) -> io::Result<Vec<OsString>> {
    let output = Command::new(loader).arg("--list").arg(program).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(text));
    }
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f...)`
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let place = |line: &str| {
        let path = line.split("=> ").last()?.trim().split(" (").next()?;
        Some(Path::new(path).parent().filter(|parent| parent.is_absolute())?.to_owned())
    };
    let places: BTreeSet<_> = text.lines().filter_map(place).collect();
    Ok(places.into_iter().map(PathBuf::into_os_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_of_a_program_is_found() {
        let mut own = File::open("/proc/self/exe").unwrap();
        let loader = interpreter(&mut own).unwrap();
        if let Some(loader) = loader {
            assert!(loader.is_absolute() && loader.exists(), "{loader:?}");
            let program = std::fs::read_link("/proc/self/exe").unwrap();
            let places = libraries(&loader, &program).unwrap();
            assert!(places.iter().any(|place| Path::new(place).join("libc.so.6").exists()));
        }
        let mut text = File::open("/proc/self/status").unwrap();
        assert!(interpreter(&mut text).is_err());
    }
}

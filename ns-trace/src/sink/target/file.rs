//! A file that is rotated.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use flate2::{Compression, write::GzEncoder};

use super::{Failure, Piece, Target};

/// How many rotated files are kept at most.
pub const MOST_KEPT: usize = 10_000;

/// No line is longer than so many bytes.
const LINE: u64 = 1 << 20;

/// When a file is rotated, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// When it would grow larger than this, in bytes.
    pub max_size: u64,
    /// When it was begun so long ago.
    pub max_age: Duration,
    /// How many rotated files are kept.
    pub keep: usize,
    /// Whether they are compressed.
    pub compress: bool,
}

/// The file, and those that it was before: `PATH.1` is the latest of them, or `PATH.1.gz`.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
    /// Compresses the latest one.
    packer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Open {
    file: fs::File,
    size: u64,
    begun: SystemTime,
    /// Whether it may be rotated: a device or a pipe is not ours to move.
    is_regular: bool,
}

impl File {
    /// One at `path`, which is made when there is something to write.
    #[must_use]
    pub const fn new(path: PathBuf, rotation: Rotation) -> Self {
        Self { path, rotation, open: None, packer: None }
    }

    /// The file, opened if it is not, or not any more the one at its path.
    fn open(&mut self) -> io::Result<Open> {
        if let Some(open) = self.open.take()
            && is_at(&open.file, &self.path)
        {
            return Ok(open);
        }
        // What others were started with is nobody else's business.
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let found = file.metadata()?;
        let is_regular = found.is_file();
        if is_regular && found.len() > 0 {
            cut(&OpenOptions::new().read(true).write(true).open(&self.path)?)?;
        }
        let found = file.metadata()?;
        // Where a file system knows not when it was made, its age begins with each start anew.
        let begun = if found.len() == 0 { Ok(SystemTime::now()) } else { found.created() };
        let begun = begun.or_else(|_| found.modified())?;
        Ok(Open { file, size: found.len(), begun, is_regular })
    }

    fn is_due(&self, open: &Open, more: u64) -> bool {
        let is_old = open.begun.elapsed().is_ok_and(|age| age >= self.rotation.max_age);
        open.is_regular && open.size > 0 && (is_old || open.size + more > self.rotation.max_size)
    }

    /// Makes room at the path.
    fn rotate(&mut self) -> io::Result<()> {
        self.wait();
        for old in beyond(&self.path, self.rotation.keep) {
            // What cannot be removed keeps nothing from being written.
            let _gone = fs::remove_file(old);
        }
        for number in (1..=self.rotation.keep).rev() {
            for packed in [false, true] {
                let from = numbered(&self.path, number, packed);
                let to = numbered(&self.path, number + 1, packed);
                let moved = if number == self.rotation.keep {
                    fs::remove_file(from)
                } else {
                    fs::rename(from, to)
                };
                match moved {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        let latest = numbered(&self.path, 1, false);
        fs::rename(&self.path, &latest)?;
        if self.rotation.compress {
            let packed = numbered(&self.path, 1, true);
            let pack = move || {
                // One that cannot be compressed stays as it is.
                let _packed = pack(&latest, &packed);
            };
            self.packer = Some(thread::Builder::new().name("packer".to_owned()).spawn(pack)?);
        }
        Ok(())
    }

    fn wait(&mut self) {
        if let Some(packer) = self.packer.take() {
            // One that panicked has said so.
            drop(packer.join());
        }
    }
}

impl Target for File {
    fn deliver(&mut self, lines: Piece<'_>) -> Result<(), Failure> {
        let bytes = lines.bytes();
        let mut open = self.open()?;
        if self.is_due(&open, bytes.len() as u64) {
            self.rotate()?;
            open = self.open()?;
        }
        if let Err(error) = open.file.write_all(bytes) {
            // No half line is left before the ones that are written next.
            let _cut = open.file.set_len(open.size);
            return Err(error.into());
        }
        open.size += bytes.len() as u64;
        self.open = Some(open);
        Ok(())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Takes away a half line at the end: whoever wrote it was killed, and what comes next is no part of it.
fn cut(file: &fs::File) -> io::Result<()> {
    let size = file.metadata()?.len();
    let from = size.saturating_sub(LINE);
    let mut end = vec![0; usize::try_from(size - from).unwrap_or_default()];
    file.read_exact_at(&mut end, from)?;
    let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    // Anything else is not ours.
    if end.get(whole) == Some(&b'{') { file.set_len(from + whole as u64) } else { Ok(()) }
}

/// Whether an open file is still the one at a path.
fn is_at(file: &fs::File, path: &Path) -> bool {
    let same = |one: &fs::Metadata, other: &fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    matches!((file.metadata(), fs::metadata(path)), (Ok(one), Ok(other)) if same(&one, &other))
}

/// `PATH.1`, or `PATH.1.gz`.
fn numbered(path: &Path, number: usize, packed: bool) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}{}", if packed { ".gz" } else { "" }));
    name.into()
}

/// The rotated files of higher numbers than are kept: fewer are than once were.
fn beyond(path: &Path, keep: usize) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let is_beyond = |other: &OsStr| {
        number(name, other).is_some_and(|number| (keep + 1..=MOST_KEPT).contains(&number))
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| is_beyond(&entry.file_name())).map(|entry| entry.path()).collect()
}

/// The number of a rotated file by its name: 3 of `NAME.3` and `NAME.3.gz`, if `name` is `NAME`.
fn number(name: &OsStr, rotated: &OsStr) -> Option<usize> {
    let rest = rotated.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b".")?;
    let text = str::from_utf8(rest.strip_suffix(b".gz").unwrap_or(rest)).ok()?;
    // Only as it is written here: anything else is somebody else's.
    text.parse().ok().filter(|number: &usize| number.to_string() == text)
}

fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(".tmp");
    let unfinished = PathBuf::from(unfinished);
    let mut options = OpenOptions::new();
    let out = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let mut packer = GzEncoder::new(out, Compression::default());
    let done = io::copy(&mut fs::File::open(from)?, &mut packer).and_then(|_| packer.finish());
    match done.and_then(|_| fs::rename(&unfinished, to)) {
        Ok(()) => fs::remove_file(from),
        Err(error) => {
            let _gone = fs::remove_file(&unfinished);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, env, io::Read as _, process};

    use flate2::read::GzDecoder;

    use super::{super::Lines, *};

    /// An empty directory, and lines of ten bytes.
    fn place(name: &str) -> (PathBuf, Lines) {
        let directory = env::temp_dir().join(format!("ns-trace-test-{}-{name}", process::id()));
        fs::create_dir(&directory).unwrap();
        let mut lines = Lines::default();
        lines.push(1, b"123456789\n");
        (directory, lines)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_gives_way_and_the_oldest_goes() {
        let (directory, lines) = place("rotation");
        let rotation = Rotation { max_size: 25, max_age: Duration::MAX, keep: 2, compress: true };
        let mut file = File::new(directory.join("a"), rotation);
        for _ in 0..9 {
            file.deliver(lines.all()).unwrap();
        }
        drop(file);
        assert_eq!(names(&directory), ["a", "a.1.gz", "a.2.gz"]);
        assert_eq!(fs::metadata(directory.join("a")).unwrap().mode() & 0o777, 0o600);
        let mut text = String::new();
        let packed = fs::File::open(directory.join("a.1.gz")).unwrap();
        GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        assert_eq!(text, "123456789\n".repeat(2));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn where_fewer_are_kept_than_before_the_others_go() {
        let (directory, lines) = place("fewer");
        let rotation = Rotation { max_size: 1, max_age: Duration::MAX, keep: 2, compress: false };
        let others = ["a.03", "a.20261130", "a.3.bz2", "a.old", "b.9"];
        for name in ["a.1", "a.2.gz", "a.3", "a.4.gz", "a.9"].iter().chain(&others) {
            fs::write(directory.join(name), *name).unwrap();
        }
        let mut file = File::new(directory.join("a"), rotation);
        file.deliver(lines.all()).unwrap();
        file.deliver(lines.all()).unwrap();
        let expected: BTreeSet<_> = ["a", "a.1", "a.2"].into_iter().chain(others).collect();
        assert_eq!(names(&directory).iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
        assert_eq!(fs::read_to_string(directory.join("a.2")).unwrap(), "a.1");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_is_no_file_stays_where_it_is() {
        let (directory, lines) = place("device");
        let rotation = Rotation { max_size: 1, max_age: Duration::ZERO, keep: 1, compress: false };
        let path = directory.join("a");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        let mut file = File::new(path, rotation);
        for _ in 0..3 {
            file.deliver(lines.all()).unwrap();
        }
        assert_eq!(names(&directory), ["a"]);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_half_line_is_not_gone_on_with() {
        let (directory, lines) = place("half");
        let rotation =
            Rotation { max_size: 1 << 20, max_age: Duration::MAX, keep: 1, compress: false };
        let path = directory.join("a");
        for (before, kept) in [
            ("{\"a\":1}\n{\"a\":2", "{\"a\":1}\n"),
            ("{\"a\":1", ""),
            ("{\"a\":1}\n", "{\"a\":1}\n"),
            ("text", "text"),
        ] {
            fs::write(&path, before).unwrap();
            File::new(path.clone(), rotation).deliver(lines.all()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kept}123456789\n"));
        }
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_is_as_old_as_it_is_and_not_as_what_was_written_last() {
        const AGE: Duration = Duration::from_millis(50);
        let (directory, lines) = place("age");
        let rotation = Rotation { max_size: 1 << 20, max_age: AGE, keep: 1, compress: false };
        let path = directory.join("a");
        File::new(path.clone(), rotation).deliver(lines.all()).unwrap();
        thread::sleep(2 * AGE);
        let mut other = OpenOptions::new().append(true).open(&path).unwrap();
        other.write_all(b"another\n").unwrap();
        let is_known = other.metadata().unwrap().created().is_ok();
        File::new(path, rotation).deliver(lines.all()).unwrap();
        assert_eq!(names(&directory), if is_known { vec!["a", "a.1"] } else { vec!["a"] });
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let (directory, lines) = place("moved");
        let rotation =
            Rotation { max_size: 1 << 20, max_age: Duration::ZERO, keep: 3, compress: false };
        let mut file = File::new(directory.join("a"), rotation);
        file.deliver(lines.all()).unwrap();
        fs::rename(directory.join("a"), directory.join("b")).unwrap();
        file.deliver(lines.all()).unwrap();
        assert_eq!(names(&directory), ["a", "b"]);
        // Too old is any that has something in it.
        file.deliver(lines.all()).unwrap();
        assert_eq!(names(&directory), ["a", "a.1", "b"]);
        fs::remove_dir_all(directory).unwrap();
    }
}

//! Where each event is a datagram: syslog and the journal.

use std::{
    fs, io,
    os::unix::{fs::MetadataExt as _, net::UnixDatagram},
    path::PathBuf,
    process,
};

use super::{Failure, Piece, Target, unix::may_read};

/// `daemon.info` of syslog(3).
const PRIORITY: u32 = 3 * 8 + 6;

/// A socket for datagrams, and how an event becomes one.
#[derive(Debug)]
pub struct Datagrams {
    path: PathBuf,
    shape: Shape,
    /// Who may read besides root and the own user.
    reader: Option<u32>,
    socket: Option<UnixDatagram>,
    /// How many of the lines are sent, if not all could be.
    sent: usize,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Syslog,
    Journal,
}

impl Datagrams {
    /// As syslog(3) sends to `path`, a socket of root, this process' own user or `reader`.
    #[must_use]
    pub const fn syslog(path: PathBuf, reader: Option<u32>) -> Self {
        Self { path, shape: Shape::Syslog, reader, socket: None, sent: 0 }
    }

    /// As `sd_journal_send`(3) sends to `path`, a socket of root, this process' own user or `reader`.
    #[must_use]
    pub const fn journal(path: PathBuf, reader: Option<u32>) -> Self {
        Self { path, shape: Shape::Journal, reader, socket: None, sent: 0 }
    }

    fn connect(&self) -> io::Result<UnixDatagram> {
        // Such a socket has no peer that could be asked for; whose file it is, is what there is.
        let owner = fs::metadata(&self.path)?.uid();
        if !may_read(owner, self.reader) {
            let what = format!("the socket is of user {owner}, who may not read events");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        Ok(socket)
    }
}

impl Shape {
    fn of(self, line: &[u8]) -> Vec<u8> {
        let pid = process::id();
        match self {
            Self::Syslog => [format!("<{PRIORITY}>ns-trace[{pid}]: ").as_bytes(), line].concat(),
            // No line of JSON has a newline in it, so that the short form of a field does.
            Self::Journal => {
                let rest = "\nPRIORITY=6\nSYSLOG_IDENTIFIER=ns-trace\n";
                [b"MESSAGE=", line, rest.as_bytes()].concat()
            }
        }
    }
}

impl Target for Datagrams {
    fn deliver(&mut self, lines: Piece<'_>) -> Result<(), Failure> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect()?,
        };
        for line in lines.iter().skip(self.sent) {
            socket.send(&self.shape.of(line))?;
            self.sent += 1;
        }
        self.sent = 0;
        self.socket = Some(socket);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::{super::Lines, *};

    #[test]
    fn what_was_sent_before_a_failure_is_not_sent_again() {
        let name = format!("ns-trace-test-{}-datagrams", process::id());
        let path = env::temp_dir().join(name);
        let mut lines = Lines::default();
        for seq in 1..=2 {
            lines.push(seq, format!("{{\"seq\":{seq}}}\n").as_bytes());
        }
        let mut syslog = Datagrams::syslog(path.clone(), None);
        assert!(syslog.deliver(lines.all()).is_err());
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.sent = 1;
        syslog.deliver(lines.all()).unwrap();
        let mut journal = Datagrams::journal(path.clone(), None);
        journal.deliver(lines.all()).unwrap();
        fs::remove_file(&path).unwrap();
        let next = || {
            let mut text = [0; 128];
            let len = daemon.recv(&mut text).unwrap();
            String::from_utf8_lossy(&text[..len]).into_owned()
        };
        assert_eq!(next(), format!("<30>ns-trace[{}]: {{\"seq\":2}}", process::id()));
        for seq in 1..=2 {
            let rest = "PRIORITY=6\nSYSLOG_IDENTIFIER=ns-trace\n";
            assert_eq!(next(), format!("MESSAGE={{\"seq\":{seq}}}\n{rest}"));
        }
    }
}

//! The numbers by which one network namespace knows others (rtnetlink(7), `RTM_GETNSID`).

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// Message types, flags and attributes of netlink.h, rtnetlink.h and `net_namespace.h` in
/// include/uapi/linux.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_ID: u16 = 88;
const GET_ID: u16 = 90;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const NSID: u16 = 1;
const FD: u16 = 3;
const TARGET: u16 = 4;
const CURRENT: u16 = 5;
/// `NETLINK_EXT_ACK` and `NETLINK_GET_STRICT_CHK`, options of `SOL_NETLINK`.
const EXTENDED_ACK: i32 = 11;
const STRICT: i32 = 12;
/// `NLMSGERR_ATTR_MSG`, the kernel's own words, and the flag that says that there may be some.
const MESSAGE: u16 = 1;
const HAS_MESSAGE: u16 = 0x200;
/// `NETNSA_NSID_NOT_ASSIGNED`.
const NONE: i32 = -1;

/// Bytes of `struct nlmsghdr`, and of it with `struct rtgenmsg` and its padding.
const HEADER: usize = 16;
const HEAD: usize = HEADER + 4;
/// More than the kernel puts into one datagram (`NLMSG_GOODSIZE`).
const DATAGRAM: usize = 32 << 10;

/// A number as the kernel tells of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NetId {
    /// The number in the namespace that was asked about; `None` if it has none.
    pub id: Option<u32>,
    /// The number in the own namespace, if another was asked about.
    pub current: Option<u32>,
}

/// Why the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", message.as_deref().map_or_else(|| error.to_string(), str::to_owned))]
pub struct Refusal {
    /// The error number.
    pub error: io::Error,
    /// The kernel's own words.
    pub message: Option<String>,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { error, message: None }
    }
}

impl From<rustix::io::Errno> for Refusal {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// Which namespace is meant.
#[derive(Clone, Copy, Debug)]
pub enum Peer<'a> {
    /// By an open file of it.
    File(&'a OwnedFd),
    /// By its number in the own namespace.
    Id(u32),
}

/// A socket of rtnetlink in the network namespace that was the own one when it was made.
#[derive(Debug)]
pub struct Rtnetlink(OwnedFd);

impl Rtnetlink {
    /// Opens one.
    ///
    /// # Errors
    ///
    /// If the kernel has no netlink.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        // NETLINK_ROUTE is protocol 0, the one of those who name none.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        for option in [EXTENDED_ACK, STRICT] {
            let on = 1_i32;
            // SAFETY: the kernel reads one int, which outlives the call.
            let _old_kernels_lack_it = unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::SOL_NETLINK,
                    option,
                    (&raw const on).cast(),
                    4,
                )
            };
        }
        Ok(Self(socket))
    }

    /// The number of a namespace, here or in the one that has the number `target` here.
    ///
    /// # Errors
    ///
    /// EINVAL if the file is no network namespace, or there is none of that number.
    pub fn id(&self, peer: Peer<'_>, target: Option<u32>) -> Result<NetId, Refusal> {
        let mut attributes = vec![match peer {
            Peer::File(file) => (FD, file.as_raw_fd()),
            Peer::Id(id) => (NSID, id.cast_signed()),
        }];
        attributes.extend(target.map(|target| (TARGET, target.cast_signed())));
        self.ask(GET_ID, REQUEST, &attributes)?;
        let ids = self.answers()?;
        ids.first().copied().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData).into())
    }

    /// All numbers that are given out here, or in the namespace that has the number `target` here.
    ///
    /// # Errors
    ///
    /// EINVAL if nothing has the number `target`.
    pub fn ids(&self, target: Option<u32>) -> Result<Vec<NetId>, Refusal> {
        let attributes: Vec<_> =
            target.map(|target| (TARGET, target.cast_signed())).into_iter().collect();
        self.ask(GET_ID, REQUEST | DUMP, &attributes)?;
        self.answers()
    }

    /// Gives a namespace a number here; without `id` the kernel chooses one. It stays for good.
    ///
    /// # Errors
    ///
    /// EEXIST if it has one already, EBUSY if another has this one, EINVAL if the file is no
    /// network namespace, EPERM without `CAP_NET_ADMIN`.
    pub fn assign(&self, file: &OwnedFd, id: Option<u32>) -> Result<(), Refusal> {
        let id = id.map_or(NONE, u32::cast_signed);
        self.ask(NEW_ID, REQUEST | ACK, &[(FD, file.as_raw_fd()), (NSID, id)])?;
        self.answers().map(drop)
    }

    fn ask(&self, kind: u16, flags: u16, attributes: &[(u16, i32)]) -> io::Result<()> {
        let length = HEAD + attributes.len() * 8;
        let mut message = Vec::with_capacity(length);
        message.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        // Sequence and port numbers: one request at a time needs neither. Then AF_UNSPEC.
        message.extend([0; 12]);
        for (name, value) in attributes {
            message.extend(8_u16.to_ne_bytes());
            message.extend(name.to_ne_bytes());
            message.extend(value.to_ne_bytes());
        }
        send(&self.0, &message, SendFlags::empty())?;
        Ok(())
    }

    /// Reads until the kernel has answered in full.
    fn answers(&self) -> Result<Vec<NetId>, Refusal> {
        let mut ids = Vec::new();
        let mut room = vec![0; DATAGRAM];
        loop {
            let (length, _) = recv(&self.0, &mut room[..], RecvFlags::empty())?;
            let mut rest = room.get(..length).unwrap_or_default();
            while let Some(message) = Message::cut(&mut rest) {
                match message.kind {
                    ERROR | DONE => return message.outcome().map(|()| ids),
                    NEW_ID => ids.push(message.id()),
                    _ => {}
                }
                if message.flags & DUMP_MEMBER == 0 {
                    return Ok(ids);
                }
            }
        }
    }
}

/// `NLM_F_MULTI`: more follows.
const DUMP_MEMBER: u16 = 0x2;

/// One message.
struct Message<'a> {
    kind: u16,
    flags: u16,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Cuts the first one off.
    fn cut(bytes: &mut &'a [u8]) -> Option<Self> {
        let length = number(bytes, 0)? as usize;
        let whole = bytes.get(..length).filter(|whole| whole.len() >= HEADER)?;
        *bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Self { kind: half(whole, 4)?, flags: half(whole, 6)?, body: whole.get(HEADER..)? })
    }

    /// What an error or the end of a dump says.
    fn outcome(&self) -> Result<(), Refusal> {
        let errno = number(self.body, 0).map_or(0, u32::cast_signed);
        if errno == 0 {
            return Ok(());
        }
        // An error repeats the request in full, unless asked not to; then come its attributes.
        let request = match self.kind {
            ERROR => number(self.body, 4).unwrap_or_default() as usize,
            _ => 0,
        };
        let attributes = self.body.get(4 + request.next_multiple_of(4)..).unwrap_or_default();
        let words =
            (self.flags & HAS_MESSAGE != 0).then(|| attribute(attributes, MESSAGE)).flatten();
        let message = words
            .map(|words| String::from_utf8_lossy(words).trim_end_matches(['\0', '.']).to_owned());
        Err(Refusal { error: io::Error::from_raw_os_error(-errno), message })
    }

    fn id(&self) -> NetId {
        let attributes = self.body.get(HEAD - HEADER..).unwrap_or_default();
        let value = |name| number(attribute(attributes, name)?, 0);
        let assigned = |id: u32| (id.cast_signed() != NONE).then_some(id);
        NetId { id: value(NSID).and_then(assigned), current: value(CURRENT).and_then(assigned) }
    }
}

/// The value of an attribute (`struct nlattr`).
fn attribute(mut bytes: &[u8], name: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(half(bytes, 0)?);
        let value = bytes.get(4..length)?;
        if half(bytes, 2)? == name {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_is_no_message() {
        let mut bytes = Vec::new();
        bytes.extend(24_u32.to_ne_bytes());
        bytes.extend([0; 12]);
        assert!(Message::cut(&mut &bytes[..]).is_none());
        assert!(Message::cut(&mut &[][..]).is_none());
        assert!(attribute(&[3, 0, 1, 0], 1).is_none());
        assert!(attribute(&[0, 0, 1, 0], 2).is_none());
    }

    #[test]
    fn attributes_are_found_by_name() {
        let bytes = [8_u16.to_ne_bytes(), 1_u16.to_ne_bytes(), [7, 0], [0, 0]].concat();
        let more = [6_u16.to_ne_bytes(), 5_u16.to_ne_bytes(), [9, 0], [0, 0]].concat();
        let both = [bytes, more].concat();
        assert_eq!(attribute(&both, 5), Some(&[9, 0][..]));
        assert_eq!(attribute(&both, 1).and_then(|value| number(value, 0)), Some(7));
        assert_eq!(attribute(&both, 2), None);
    }

    #[test]
    fn the_kernel_answers() {
        let own = OwnedFd::from(std::fs::File::open("/proc/self/ns/net").unwrap());
        let socket = Rtnetlink::open().unwrap();
        assert!(socket.id(Peer::File(&own), None).is_ok());
        let other = OwnedFd::from(std::fs::File::open("/proc/self/ns/uts").unwrap());
        let refusal = socket.id(Peer::File(&other), None).unwrap_err();
        assert_eq!(refusal.error.raw_os_error(), Some(libc::EINVAL), "{refusal}");
        socket.ids(None).unwrap();
    }
}

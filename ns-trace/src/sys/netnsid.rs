//! The numbers by which the own network namespace knows others (rtnetlink(7), `RTM_GETNSID`).

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// `RTM_GETNSID` of include/uapi/linux/rtnetlink.h; the answer is `RTM_NEWNSID`, 88.
const GET: u16 = 90;
const NEW: u16 = 88;
/// Attributes of `include/uapi/linux/net_namespace.h`.
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// `struct nlmsghdr`, `struct rtgenmsg` padded, and one attribute.
const REQUEST: u32 = 16 + 4 + 8;

/// A way to ask.
#[derive(Debug)]
pub struct Netnsids(OwnedFd);

impl Netnsids {
    /// Opens it; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: the call takes numbers only.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call just made this descriptor; nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The number of an open network namespace, -1 if it has none.
    ///
    /// # Errors
    ///
    /// What the kernel answers, EINVAL if the file is no network namespace.
    pub fn get(&self, ns: impl AsFd) -> io::Result<i32> {
        let request = request(ns.as_fd().as_raw_fd().cast_unsigned());
        rustix::io::write(&self.0, &request)?;
        let mut answer = [0; 256];
        let len = rustix::io::read(&self.0, &mut answer)?;
        read(answer.get(..len).unwrap_or_default())
    }
}

fn request(fd: u32) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(REQUEST.to_ne_bytes());
    message.extend(GET.to_ne_bytes());
    message.extend(1_u16.to_ne_bytes()); // NLM_F_REQUEST
    message.extend([0; 8]); // sequence, port
    message.extend([0; 4]); // AF_UNSPEC
    message.extend(8_u16.to_ne_bytes());
    message.extend(NETNSA_FD.to_ne_bytes());
    message.extend(fd.to_ne_bytes());
    message
}

fn read(answer: &[u8]) -> io::Result<i32> {
    let short = || io::Error::other("an answer of rtnetlink that is cut off");
    let word = |at: usize| answer.get(at..at + 4)?.try_into().ok().map(i32::from_ne_bytes);
    let half = |at: usize| answer.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes);
    match half(4).ok_or_else(short)? {
        NEW => {
            // The attributes lie behind both headers, each rounded up to four bytes.
            let mut at = 20;
            while let (Some(len), Some(kind)) = (half(at), half(at + 2)) {
                if kind == NETNSA_NSID {
                    return word(at + 4).ok_or_else(short);
                }
                at += usize::from(len.max(4)).next_multiple_of(4);
            }
            Err(short())
        }
        // NLMSG_ERROR: the negative number.
        _ => Err(io::Error::from_raw_os_error(word(16).ok_or_else(short)?.wrapping_neg())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_for_the_own_namespace_and_refuses_others() {
        let numbers = Netnsids::open().expect("a netlink socket");
        let own = std::fs::File::open("/proc/self/ns/net").expect("the own namespace");
        assert!(numbers.get(&own).expect("an answer") >= -1);
        let other = std::fs::File::open("/proc/self/ns/uts").expect("the own namespace");
        assert_eq!(
            numbers.get(&other).map_err(|error| error.raw_os_error()),
            Err(Some(libc::EINVAL))
        );
    }
}

//! A filter of system calls for a program that serves others.
//!
//! What it needs is named, the rest is refused: it then can neither run a program, nor make or enter
//! a namespace, nor mount, nor load anything into the kernel, whoever takes it over.

use std::{collections::BTreeMap, io};

use libc::{EPERM, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

/// statmount(2), listmount(2) and listns(2), which libc does not name yet; the same on all
/// architectures.
const NEWEST: [c_long; 3] = [457, 458, 470];

/// Reading and writing files, and finding them.
const FILES: &[c_long] = &[
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_ioctl,
    libc::SYS_kcmp,
    libc::SYS_linkat,
    libc::SYS_lseek,
    libc::SYS_memfd_create,
    libc::SYS_mkdirat,
    libc::SYS_name_to_handle_at,
    libc::SYS_newfstatat,
    libc::SYS_open_by_handle_at,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sync_file_range,
    libc::SYS_truncate,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Memory, threads, signals and time.
const ITSELF: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    // Refused by the other filter, with the answer that libraries expect.
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_kill,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_tgkill,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_tkill,
    libc::SYS_uname,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

/// Sockets, and waiting for them.
const OTHERS: &[c_long] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_listen,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_signalfd4,
    libc::SYS_socketpair,
];

/// What newer architectures have under other names only.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_getdents,
    libc::SYS_getrlimit,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[];

/// The commands of bpf(2) that need no program or map to be made: reading and changing elements (1
/// to 4, 21 and 24 to 27), pins (6, 7), running a program (10), information (12 to 15, 19, 22, 23, 30,
/// 31), and links and iterators (28, 29, 33, 34).
const BPF: [u64; 25] =
    [1, 2, 3, 4, 6, 7, 10, 12, 13, 14, 15, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 33, 34];

/// The families of sockets: unix, IPv4, IPv6 and netlink.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// All flags of clone(2) that make namespaces.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// Lets all threads of this process, and those to come, do no more than a server of events must.
///
/// What is refused fails with `EPERM`. It cannot be undone, and asks for `PR_SET_NO_NEW_PRIVS` (which
/// it sets) but no capability.
///
/// # Errors
///
/// If the kernel has no such filters, or this is another architecture than x86-64 and aarch64.
pub fn confine() -> io::Result<()> {
    for filter in filters()? {
        apply_filter_all_threads(&filter).map_err(io::Error::other)?;
    }
    Ok(())
}

fn filters() -> io::Result<[BpfProgram; 2]> {
    let refused = io::Error::other::<seccompiler::Error>;
    let arch =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|error| refused(error.into()))?;
    let compile = |rules, otherwise, then| -> Result<BpfProgram, seccompiler::BackendError> {
        SeccompFilter::new(rules, otherwise, then, arch)?.try_into()
    };
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    // Its flags lie in memory, where no filter looks; without it libraries use clone(2).
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let unknown = compile(unknown, SeccompAction::Allow, errno(libc::ENOSYS));
    let known = rules().and_then(|rules| compile(rules, errno(EPERM), SeccompAction::Allow));
    let compiled = unknown.and_then(|unknown| Ok([unknown, known?]));
    compiled.map_err(|error| refused(error.into()))
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let all = [FILES, ITSELF, OTHERS, OLD, &NEWEST].concat();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        all.into_iter().map(|number| (number, Vec::new())).collect();
    let rule = |width, operator, value| {
        SeccompRule::new(vec![SeccompCondition::new(0, width, operator, value)?])
    };
    let commands =
        BPF.into_iter().map(|command| rule(SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, command));
    rules.insert(libc::SYS_bpf, commands.collect::<Result<_, _>>()?);
    let families = FAMILIES.into_iter().map(|family| {
        rule(SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family.unsigned_abs().into())
    });
    rules.insert(libc::SYS_socket, families.collect::<Result<_, _>>()?);
    let plain = rule(SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(NAMESPACES), 0)?;
    rules.insert(libc::SYS_clone, vec![plain]);
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_can_be_made() {
        for filter in filters().unwrap() {
            // What the kernel takes at most (BPF_MAXINSNS).
            assert!((1..=4096).contains(&filter.len()));
        }
    }

    #[test]
    fn what_changes_the_kernel_is_not_named() {
        let rules = rules().unwrap();
        for number in [
            libc::SYS_execve,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_mount,
            libc::SYS_ptrace,
            libc::SYS_init_module,
            libc::SYS_perf_event_open,
            libc::SYS_setuid,
            libc::SYS_process_vm_writev,
        ] {
            assert!(!rules.contains_key(&number), "{number}");
        }
    }
}

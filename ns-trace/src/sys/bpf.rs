//! Attaching to perf events: aya looks for a mounted tracefs, we need none.

pub mod object;
pub mod pin;

use std::{
    ffi::CString,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

/// `PERF_TYPE_TRACEPOINT`
const TRACEPOINT: u32 = 2;
/// `PERF_ATTR_SIZE_VER0`
const ATTRIBUTES_LEN: u32 = 64;
/// `BPF_LINK_CREATE` of enum `bpf_cmd`.
const LINK_CREATE: libc::c_long = 28;
/// `BPF_PERF_EVENT` of enum `bpf_attach_type`.
const PERF_EVENT: u32 = 41;

/// `PERF_EVENT_IOC_SET_BPF`
const PERF_EVENT_IOC_SET_BPF: libc::c_ulong = 0x4004_2408;
/// `PERF_FLAG_FD_CLOEXEC`
const CLOEXEC: libc::c_ulong = 8;

/// The start of `struct perf_event_attr`, version 0.
#[repr(C)]
#[derive(Default)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    rest: [u64; 5],
    /// `kprobe_func`: the address of a name.
    config1: u64,
}

/// The part of `union bpf_attr` that `BPF_LINK_CREATE` reads.
#[repr(C)]
struct LinkAttributes {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

/// Opens a perf event on the tracepoint with number `id`, for all tasks.
///
/// # Errors
///
/// EACCES or EPERM without `CAP_PERFMON`.
pub fn open_tracepoint(id: u64) -> io::Result<OwnedFd> {
    let attributes = EventAttributes {
        kind: TRACEPOINT,
        size: ATTRIBUTES_LEN,
        config: id,
        ..EventAttributes::default()
    };
    open_event(&attributes)
}

/// The kernel's number for events on functions; only kernels with kprobes have the file.
const KPROBE_TYPE: &str = "/sys/bus/event_source/devices/kprobe/type";
/// `PERF_PROBE_CONFIG_IS_RETPROBE` of kernel/events/core.c, the `format/retprobe` of that device.
const RETPROBE: u64 = 1;

/// Opens a perf event on the entry or the return of a kernel function, for all tasks. The kprobe is
/// the event's own: no name of it is ever in tracefs.
///
/// # Errors
///
/// ENOENT without kprobes or such a function, EACCES or EPERM without `CAP_PERFMON`.
pub fn open_kprobe(function: &str, is_return: bool) -> io::Result<OwnedFd> {
    let kind = fs::read_to_string(KPROBE_TYPE)?;
    let name = CString::new(function)?;
    let attributes = EventAttributes {
        kind: kind.trim().parse().map_err(io::Error::other)?,
        size: ATTRIBUTES_LEN,
        config: if is_return { RETPROBE } else { 0 },
        config1: name.as_ptr().addr() as u64,
        ..EventAttributes::default()
    };
    open_event(&attributes)
}

/// Opens a perf event for all tasks.
fn open_event(attributes: &EventAttributes) -> io::Result<OwnedFd> {
    let (all_tasks, cpu, no_group) = (-1, 0, -1);
    // SAFETY: the attributes are `size` bytes long and, as the name they may point at, outlive the
    // call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attributes),
            all_tasks,
            cpu,
            no_group,
            CLOEXEC,
        )
    };
    own(fd)
}

/// Attaches a program to a perf event; it is detached when the returned descriptor is closed.
///
/// # Errors
///
/// Those of bpf(2) and ioctl(2).
pub fn attach_perf_event(program: BorrowedFd<'_>, event: OwnedFd) -> io::Result<OwnedFd> {
    match link_perf_event(program, event.as_fd()) {
        // The link keeps the event alive.
        Ok(link) => Ok(link),
        // Before 5.15 the event itself holds the program.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            // SAFETY: the argument of this request is a descriptor.
            let done = unsafe {
                libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())
            };
            if done == 0 { Ok(event) } else { Err(io::Error::last_os_error()) }
        }
        Err(error) => Err(error),
    }
}

fn link_perf_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let attributes = LinkAttributes {
        program: program.as_raw_fd().unsigned_abs(),
        target: event.as_raw_fd().unsigned_abs(),
        attach_type: PERF_EVENT,
        flags: 0,
    };
    // SAFETY: the attributes are as long as said and outlive the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            LINK_CREATE,
            &raw const attributes,
            size_of::<LinkAttributes>(),
        )
    };
    own(fd)
}

/// Attaches a program to a raw tracepoint; without a name to the function that it was loaded for. It
/// is detached when the returned descriptor, which is a link's, is closed.
///
/// # Errors
///
/// Those of bpf(2): ENOENT if there is no such tracepoint.
pub fn attach_raw_tracepoint(program: BorrowedFd<'_>, name: Option<&str>) -> io::Result<OwnedFd> {
    const RAW_TRACEPOINT_OPEN: libc::c_long = 17;
    /// The part of `union bpf_attr` that the command reads.
    #[repr(C)]
    struct Attributes {
        name: u64,
        program: u32,
        reserved: u32,
    }
    let name = name.map(CString::new).transpose()?;
    let attributes = Attributes {
        name: name.as_ref().map_or(0, |name| name.as_ptr().addr() as u64),
        program: program.as_raw_fd().unsigned_abs(),
        reserved: 0,
    };
    // SAFETY: the attributes are as long as said and, as the name they may point at, outlive the call.
    let fd = unsafe {
        let len = size_of::<Attributes>();
        libc::syscall(libc::SYS_bpf, RAW_TRACEPOINT_OPEN, &raw const attributes, len)
    };
    own(fd)
}

/// `BPF_TRACE_KPROBE_MULTI` of enum `bpf_attach_type`.
const FPROBE: u32 = 42;

/// Loads a program of type kprobe for fprobe.
///
/// # Errors
///
/// Those of bpf(2): EACCES if the verifier refuses it.
pub fn load_fprobe(instructions: &[u64]) -> io::Result<OwnedFd> {
    let attributes =
        LoadAttributes { kind: KPROBE, expected_attach_type: FPROBE, ..LoadAttributes::default() };
    load(attributes, instructions)
}

/// Attaches a program to the return of a function, through fprobe; it is detached when the returned
/// descriptor is closed.
///
/// # Errors
///
/// Those of bpf(2): ESRCH if there is no such function.
pub fn attach_fprobe(program: BorrowedFd<'_>, function: &str) -> io::Result<OwnedFd> {
    /// `BPF_F_KPROBE_MULTI_RETURN`
    const RETURN: u32 = 1;
    /// The part of `union bpf_attr` that `BPF_LINK_CREATE` reads for this attach type.
    #[repr(C)]
    struct Attributes {
        link: LinkAttributes,
        flags: u32,
        count: u32,
        symbols: u64,
        addresses: u64,
        cookies: u64,
    }
    let name = CString::new(function)?;
    let symbols = [name.as_ptr()];
    let link = LinkAttributes {
        program: program.as_raw_fd().unsigned_abs(),
        target: 0,
        attach_type: FPROBE,
        flags: 0,
    };
    let attributes = Attributes {
        link,
        flags: RETURN,
        count: 1,
        symbols: symbols.as_ptr().addr() as u64,
        addresses: 0,
        cookies: 0,
    };
    // SAFETY: the attributes are as long as said and, as the names they point at, outlive the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, LINK_CREATE, &raw const attributes, size_of::<Attributes>())
    };
    own(fd)
}

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` reads.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct LoadAttributes {
    kind: u32,
    instructions_len: u32,
    instructions: u64,
    license: u64,
    log: [u64; 2],
    version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
    types: u32,
    function_len: u32,
    functions: u64,
    functions_cnt: u32,
    line_len: u32,
    lines: u64,
    lines_cnt: u32,
    attach_btf_id: u32,
    attach_program: u64,
}

/// `BPF_PROG_TYPE_KPROBE`
const KPROBE: u32 = 2;
/// `BPF_PROG_TYPE_RAW_TRACEPOINT`
const RAW_TRACEPOINT: u32 = 17;
/// `BPF_PROG_TYPE_TRACING`
const TRACING: u32 = 26;
/// `BPF_TRACE_FENTRY`
pub const TRACE_FENTRY: u32 = 24;
/// `BPF_TRACE_ITER`
pub const TRACE_ITERATOR: u32 = 28;

/// `r0 = 0`
const RETURN_ZERO: u64 = 0xb7;
/// `exit`
const EXIT: u64 = 0x95;
/// `call`; the helper's number is in the upper half.
const CALL: u64 = 0x85;

/// `BPF_FUNC_get_current_task_btf` (include/uapi/linux/bpf.h).
pub const GET_CURRENT_TASK_BTF: u32 = 158;
/// `BPF_FUNC_task_pt_regs`.
pub const TASK_PT_REGS: u32 = 175;
/// `BPF_FUNC_loop`.
pub const LOOP: u32 = 181;

/// Asks the kernel whether it takes programs on functions ([`TRACE_FENTRY`]) or iterators
/// ([`TRACE_ITERATOR`]), by loading an empty one for the function that its BTF knows as `function`.
///
/// # Errors
///
/// EPERM without the capabilities or where a hardened kernel refuses such programs.
pub fn try_tracing(function: u32, attach_type: u32) -> io::Result<()> {
    let attributes = LoadAttributes {
        kind: TRACING,
        expected_attach_type: attach_type,
        attach_btf_id: function,
        ..LoadAttributes::default()
    };
    load(attributes, &[RETURN_ZERO, EXIT]).map(drop)
}

/// Asks the kernel whether its BPF has the helper with this number, by a program that calls it
/// without arguments: the verifier refuses these (EACCES) only if it knows the helper.
///
/// # Errors
///
/// EPERM without the capabilities.
pub fn has_helper(number: u32) -> io::Result<bool> {
    let call = CALL | u64::from(number) << 32;
    let attributes = LoadAttributes { kind: RAW_TRACEPOINT, ..LoadAttributes::default() };
    match load(attributes, &[call, RETURN_ZERO, EXIT]) {
        Ok(_) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EACCES) => Ok(true),
            Some(libc::EINVAL) => Ok(false),
            _ => Err(error),
        },
    }
}

/// What the kernel counts of a program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runs {
    /// How long it ran, while the kernel measured that (`kernel.bpf_stats_enabled`).
    pub time_ns: u64,
    /// How often it ran meanwhile.
    pub measured: u64,
    /// How often it was not run because one was running on the CPU already (Linux 5.12; 0 before).
    pub missed: u64,
}

/// Asks what the kernel counts of a program (`struct bpf_prog_info`).
///
/// # Errors
///
/// Those of bpf(2).
pub fn runs(program: BorrowedFd<'_>) -> io::Result<Runs> {
    const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
    /// The part of `union bpf_attr` that the command reads.
    #[repr(C)]
    struct InfoAttributes {
        fd: u32,
        len: u32,
        info: u64,
    }
    // `struct bpf_prog_info` up to `recursion_misses`.
    let mut info = [0_u64; 27];
    let attributes = InfoAttributes {
        fd: program.as_raw_fd().unsigned_abs(),
        len: u32::try_from(size_of_val(&info)).map_err(io::Error::other)?,
        info: info.as_mut_ptr() as u64,
    };
    // SAFETY: the attributes and the memory that they point at are as long as said.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            OBJ_GET_INFO_BY_FD,
            &raw const attributes,
            size_of::<InfoAttributes>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let [.., time_ns, measured, missed] = info;
    Ok(Runs { time_ns, measured, missed })
}

/// Asks the kernel whether raw tracepoint programs can be run without a tracepoint
/// (`BPF_PROG_TEST_RUN`, Linux 5.10), by an empty one.
///
/// # Errors
///
/// EPERM without the capabilities.
pub fn can_run_on_demand() -> io::Result<bool> {
    /// `BPF_PROG_TEST_RUN` of enum `bpf_cmd`.
    const PROG_TEST_RUN: libc::c_long = 10;
    /// `ENOTSUPP` of include/linux/errno.h, which should never have reached user space.
    const UNSUPPORTED: i32 = 524;
    let attributes = LoadAttributes { kind: RAW_TRACEPOINT, ..LoadAttributes::default() };
    let program = load(attributes, &[RETURN_ZERO, EXIT])?;
    // The program's descriptor comes first; no context, no data.
    let mut attributes = [0_u32; 20];
    if let Some(first) = attributes.first_mut() {
        *first = program.as_raw_fd().unsigned_abs();
    }
    // SAFETY: the attributes are as long as said and outlive the call.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_TEST_RUN, &raw mut attributes, size_of_val(&attributes))
    };
    if done == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(UNSUPPORTED) => Ok(false),
        error => Err(error),
    }
}

/// Loads a program of these instructions.
fn load<I>(attributes: LoadAttributes, instructions: &[I]) -> io::Result<OwnedFd> {
    const PROG_LOAD: libc::c_long = 5;
    const { assert!(size_of::<I>() == 8, "an instruction takes 8 bytes") };
    let attributes = LoadAttributes {
        instructions_len: u32::try_from(instructions.len()).map_err(io::Error::other)?,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        ..attributes
    };
    // SAFETY: the attributes and what they point at outlive the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attributes, size_of::<LoadAttributes>())
    };
    own(fd)
}

/// Takes the descriptor that a system call returned.
fn own(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

//! Maps and programs by bpf(2) itself, for what is loaded to be run once.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use super::{LoadAttributes, RAW_TRACEPOINT, own};

/// Numbers of enum `bpf_cmd`.
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_TEST_RUN: libc::c_long = 10;
const BTF_LOAD: libc::c_long = 18;
const MAP_FREEZE: libc::c_long = 22;

/// The part of `union bpf_attr` that `BPF_MAP_CREATE` must have.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// Of enum `bpf_map_type`.
    pub kind: u32,
    /// Bytes of a key.
    pub key_len: u32,
    /// Bytes of a value.
    pub value_len: u32,
    /// How many there are; of a ring its bytes.
    pub entries: u32,
    /// `BPF_F_…`.
    pub flags: u32,
}

/// Makes a map.
///
/// # Errors
///
/// Those of bpf(2).
pub fn create_map(map: &Map) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are as long as said and outlive the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, MAP_CREATE, std::ptr::from_ref(map), size_of::<Map>())
    };
    own(fd)
}

/// Fills the one element of an array, for good: the verifier then knows its contents.
///
/// # Errors
///
/// Those of bpf(2), and if the value is not as long as the map's are.
pub fn set_constants(map: BorrowedFd<'_>, value: &[u8], value_len: u32) -> io::Result<()> {
    /// The part of `union bpf_attr` that `BPF_MAP_UPDATE_ELEM` reads.
    #[repr(C)]
    struct UpdateAttributes {
        map: u32,
        reserved: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    if value.len() != value_len as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let key = 0_u32;
    let map = map.as_raw_fd().unsigned_abs();
    let attributes = UpdateAttributes {
        map,
        reserved: 0,
        key: std::ptr::from_ref(&key) as u64,
        value: value.as_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the attributes, the key and the value, which is as long as the map's, outlive the call.
    let done = unsafe {
        let len = size_of::<UpdateAttributes>();
        libc::syscall(libc::SYS_bpf, MAP_UPDATE_ELEM, &raw const attributes, len)
    };
    check(done)?;
    // SAFETY: the command reads the map's descriptor only.
    check(unsafe { libc::syscall(libc::SYS_bpf, MAP_FREEZE, &raw const map, size_of::<u32>()) })
}

/// Loads the types of a program.
///
/// # Errors
///
/// Those of bpf(2).
pub fn load_types(btf: &[u8]) -> io::Result<OwnedFd> {
    /// The part of `union bpf_attr` that `BPF_BTF_LOAD` must have.
    #[repr(C)]
    struct TypesAttributes {
        types: u64,
        log: u64,
        len: u32,
        log_len: u32,
    }
    let len = u32::try_from(btf.len()).map_err(io::Error::other)?;
    let attributes = TypesAttributes { types: btf.as_ptr() as u64, log: 0, len, log_len: 0 };
    // SAFETY: the attributes and the types outlive the call.
    let fd = unsafe {
        let len = size_of::<TypesAttributes>();
        libc::syscall(libc::SYS_bpf, BTF_LOAD, &raw const attributes, len)
    };
    own(fd)
}

/// Which type each function of a program has: the verifier must know it of callbacks.
#[derive(Clone, Copy, Debug)]
pub struct Functions<'a> {
    /// From [`load_types`].
    pub types: BorrowedFd<'a>,
    /// A `struct bpf_func_info` each.
    pub info: &'a [u8],
    /// How many there are.
    pub count: usize,
}

/// Loads a program that can be run on demand, of type `BPF_PROG_TYPE_RAW_TRACEPOINT`.
///
/// # Errors
///
/// Those of bpf(2): EACCES if the verifier refuses it.
pub fn load_on_demand<I>(instructions: &[I], functions: Functions<'_>) -> io::Result<OwnedFd> {
    let Functions { types, info, count } = functions;
    let len = info.len().checked_div(count).unwrap_or_default();
    let attributes = LoadAttributes {
        kind: RAW_TRACEPOINT,
        types: types.as_raw_fd().unsigned_abs(),
        function_len: u32::try_from(len).map_err(io::Error::other)?,
        functions: info.as_ptr() as u64,
        functions_cnt: u32::try_from(count).map_err(io::Error::other)?,
        ..LoadAttributes::default()
    };
    super::load(attributes, instructions)
}

/// How many arguments the kernel can pass to a program; it wants room for all of them.
const ARGUMENTS: usize = 12;

/// Runs a program on demand, with these arguments; more than the kernel can pass are left out.
///
/// # Errors
///
/// Those of bpf(2).
pub fn run_on_demand(program: BorrowedFd<'_>, arguments: &[u64]) -> io::Result<()> {
    /// The part of `union bpf_attr` that `BPF_PROG_TEST_RUN` reads.
    #[repr(C)]
    #[derive(Default)]
    struct RunAttributes {
        program: u32,
        result: u32,
        data_len: [u32; 2],
        data: [u64; 2],
        repeat: u32,
        duration: u32,
        context_len: u32,
        context_room: u32,
        context: u64,
        context_out: u64,
    }
    let mut all = [0_u64; ARGUMENTS];
    all.iter_mut().zip(arguments).for_each(|(place, argument)| *place = *argument);
    let attributes = RunAttributes {
        program: program.as_raw_fd().unsigned_abs(),
        context_len: u32::try_from(size_of_val(&all)).map_err(io::Error::other)?,
        context: all.as_ptr() as u64,
        ..RunAttributes::default()
    };
    // SAFETY: the attributes and the arguments outlive the call.
    check(unsafe {
        let len = size_of::<RunAttributes>();
        libc::syscall(libc::SYS_bpf, PROG_TEST_RUN, &raw const attributes, len)
    })
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

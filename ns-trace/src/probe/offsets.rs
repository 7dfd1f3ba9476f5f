//! Where the running kernel keeps what the probes read.

use std::{io, path::Path};

use ns_trace_common::{ABSENT, Kind, NamespaceOffsets, Offsets, SLOTS, Slot};

use super::btf::{self, Btf};
use crate::sys::mapping::Image;

/// Where a kernel with BTF shows it.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Why there are no offsets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is not BTF.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: String,
        /// Why.
        source: btf::Error,
    },
    /// The kernel is too different from those that are known.
    #[error("this kernel has no {0}")]
    Missing(String),
}

/// The offsets, and which hookable functions exist.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    /// For the probes.
    pub offsets: Offsets,
    /// Those of the functions asked for that the kernel has.
    pub functions: Vec<&'static str>,
    /// Their numbers in the kernel's BTF, in the same order.
    pub function_ids: Vec<u32>,
    /// Where in a `css_set` the states of the cgroup controllers are, by name.
    pub controllers: Vec<(String, u32)>,
}

impl Layout {
    /// The number of a function in the kernel's BTF.
    #[must_use]
    pub fn function_id(&self, name: &str) -> Option<u32> {
        let mut functions = self.functions.iter().zip(&self.function_ids);
        functions.find_map(|(function, id)| (*function == name).then_some(*id))
    }

    /// Reads a BTF file and resolves everything.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not BTF, or lacks a member that every supported kernel has.
    pub fn read(path: &Path, functions: &[&'static str]) -> Result<Self, Error> {
        let shown = || path.display().to_string();
        let data = Image::of(path).map_err(|source| Error::Read { path: shown(), source })?;
        let btf = Btf::parse(&data, &STRUCTS, functions)
            .map_err(|source| Error::Parse { path: shown(), source })?;
        let (functions, function_ids) =
            functions.iter().filter_map(|name| btf.function(name).map(|id| (*name, id))).unzip();
        let controllers = controllers(&btf);
        Ok(Self { offsets: resolve(&btf)?, functions, function_ids, controllers })
    }
}

/// What the tracepoint of new tasks records.
const NEWTASK: &str = "trace_event_raw_task_newtask";
/// What the tracepoint of new programs records.
const EXEC: &str = "trace_event_raw_sched_process_exec";

/// Every struct that [`resolve`] asks for.
pub const STRUCTS: [&str; 48] = [
    "cgroup",
    "cgroup_file_ctx",
    "cgroup_namespace",
    "cgroup_subsys_id",
    "cgroup_subsys_state",
    "cred",
    "css_set",
    "dentry",
    "fdtable",
    "file",
    "files_struct",
    "fown_struct",
    "inode",
    "io_ring_ctx",
    "io_rsrc_node",
    "ipc_namespace",
    "kernel_clone_args",
    "kernfs_node",
    "kernfs_open_file",
    "linux_binprm",
    "maple_node",
    "mm_struct",
    "mnt_namespace",
    "net",
    "ns_common",
    "nsproxy",
    "pid",
    "pid_namespace",
    "proc_inode",
    "proc_mounts",
    "proc_ns_operations",
    "pt_regs",
    "scm_fp_list",
    "seq_file",
    "shm_file_data",
    "signal_struct",
    "sk_buff",
    "sock",
    "socket",
    "super_block",
    "task_struct",
    "time_namespace",
    EXEC,
    NEWTASK,
    "unix_skb_parms",
    "user_namespace",
    "uts_namespace",
    "vm_area_struct",
];

/// The cgroup controllers that the kernel was built with: `css_set.subsys` has one pointer for each,
/// in the order of `enum cgroup_subsys_id`.
fn controllers(btf: &Btf<'_>) -> Vec<(String, u32)> {
    let Some(first) = btf.member("css_set", "subsys") else { return Vec::new() };
    let named = btf.enumerators("cgroup_subsys_id").into_iter().filter_map(|(name, number)| {
        let name = std::str::from_utf8(name).ok()?.strip_suffix("_cgrp_id")?;
        Some((name.to_owned(), first.offset.checked_add(number.checked_mul(8)?)?))
    });
    named.collect()
}

/// Finds every offset.
///
/// # Errors
///
/// If a member is missing that every supported kernel has.
#[expect(clippy::too_many_lines, reason = "a table: a line for each")]
pub fn resolve(btf: &Btf<'_>) -> Result<Offsets, Error> {
    let optional = |name, path| btf.member(name, path).map_or(ABSENT, |member| member.offset);
    let must = |name: &str, path: &str| {
        let found = btf.member(name, path).map(|member| member.offset);
        found.ok_or_else(|| Error::Missing(format!("{path} in struct {name}")))
    };
    let task = |path| must("task_struct", path);
    let cred = |path| must("cred", path);

    let mut namespaces = [EMPTY; 8];
    for (kind, offsets) in Kind::ALL.into_iter().zip(&mut namespaces) {
        *offsets = namespace(btf, kind)?;
    }
    let mut nsproxy = [ABSENT; SLOTS];
    for (slot, offset) in Slot::ALL.into_iter().zip(&mut nsproxy) {
        if let Some(member) = proxied(slot) {
            *offset = must("nsproxy", member)?;
        }
    }
    // A pointer since 6.12.
    let embedded = optional("file", "f_owner.pid");
    Ok(Offsets {
        namespaces,
        inum: must("ns_common", "inum")?,
        ns_type: optional("ns_common", "ns_type"),
        ops: must("ns_common", "ops")?,
        ops_type: optional("proc_ns_operations", "type"),
        nsproxy,
        task_nsproxy: task("nsproxy")?,
        task_real_cred: task("real_cred")?,
        task_thread_pid: task("thread_pid")?,
        task_pid: task("pid")?,
        task_tgid: task("tgid")?,
        task_real_parent: task("real_parent")?,
        task_start_boottime: task("start_boottime")?,
        task_cgroups: task("cgroups")?,
        task_comm: task("comm")?,
        task_flags: task("flags")?,
        task_exit_code: task("exit_code")?,
        task_mm: task("mm")?,
        task_files: task("files")?,
        task_tasks: task("tasks")?,
        task_signal: task("signal")?,
        task_thread_node: task("thread_node")?,
        task_children: task("children")?,
        task_sibling: task("sibling")?,
        task_status: optional("task_struct", "thread_info.status"),
        task_stack: task("stack")?,
        registers_len: btf.size("pt_regs").unwrap_or(ABSENT),
        signal_thread_head: must("signal_struct", "thread_head")?,
        user_owner: must("user_namespace", "owner")?,
        cred_user_ns: cred("user_ns")?,
        cred_uid: cred("uid")?,
        cred_gid: cred("gid")?,
        cred_euid: cred("euid")?,
        cred_caps: cred("cap_effective")?,
        pid_level: must("pid", "level")?,
        pid_numbers: must("pid", "numbers")?,
        css_dfl_cgrp: must("css_set", "dfl_cgrp")?,
        css_cgroup: must("cgroup_subsys_state", "cgroup")?,
        cgroup_kn: must("cgroup", "kn")?,
        kernfs_id: must("kernfs_node", "id")?,
        mm_arg_start: must("mm_struct", "arg_start")?,
        mm_arg_end: must("mm_struct", "arg_end")?,
        bprm_filename: must("linux_binprm", "filename")?,
        mnt_event: optional("mnt_namespace", "event"),
        files_fdt: must("files_struct", "fdt")?,
        fdt_fd: must("fdtable", "fd")?,
        fdt_max_fds: must("fdtable", "max_fds")?,
        fdt_open_fds: must("fdtable", "open_fds")?,
        file_cred: must("file", "f_cred")?,
        file_inode: must("file", "f_inode")?,
        file_dentry: must("file", "f_path.dentry")?,
        file_private: must("file", "private_data")?,
        seq_private: must("seq_file", "private")?,
        inode_private: must("inode", "i_private")?,
        inode_sb: must("inode", "i_sb")?,
        sb_magic: must("super_block", "s_magic")?,
        dentry_name: must("dentry", "d_name.name")?,
        proc_inode_pid: optional("proc_inode", "pid"),
        proc_inode_vfs: optional("proc_inode", "vfs_inode"),
        mounts_ns: optional("proc_mounts", "ns"),
        kernfs_open_priv: optional("kernfs_open_file", "priv"),
        cgroup_file_ns: optional("cgroup_file_ctx", "ns"),
        file_owner: if embedded == ABSENT { optional("file", "f_owner") } else { ABSENT },
        file_owner_pid: embedded,
        fown_pid: optional("fown_struct", "pid"),
        socket_sk: optional("socket", "sk"),
        sock_family: optional("sock", "__sk_common.skc_family"),
        sock_state: optional("sock", "__sk_common.skc_state"),
        sock_net: optional("sock", "__sk_common.skc_net.net"),
        sock_queue: optional("sock", "sk_receive_queue"),
        sock_peer_pid: optional("sock", "sk_peer_pid"),
        sock_peer_cred: optional("sock", "sk_peer_cred"),
        skb_next: optional("sk_buff", "next"),
        skb_sk: optional("sk_buff", "sk"),
        skb_cb: optional("sk_buff", "cb"),
        unix_pid: optional("unix_skb_parms", "pid"),
        unix_fp: optional("unix_skb_parms", "fp"),
        scm_count: optional("scm_fp_list", "count"),
        scm_fp: optional("scm_fp_list", "fp"),
        ring_files: optional("io_ring_ctx", "file_table.files"),
        ring_files_count: optional("io_ring_ctx", "nr_user_files"),
        ring_nodes: optional("io_ring_ctx", "file_table.data.nodes"),
        ring_nodes_count: optional("io_ring_ctx", "file_table.data.nr"),
        ring_node_file: optional("io_rsrc_node", "file_ptr"),
        mm_tree: optional("mm_struct", "mm_mt.ma_root"),
        maple_slots: optional("maple_node", "mr64.slot"),
        maple_arange_slots: optional("maple_node", "ma64.slot"),
        vma_mm: optional("vm_area_struct", "vm_mm"),
        vma_file: optional("vm_area_struct", "vm_file"),
        shm_id: optional("shm_file_data", "id"),
        shm_ns: optional("shm_file_data", "ns"),
        clone_args_flags: must("kernel_clone_args", "flags")?,
        newtask_pid: optional(NEWTASK, "pid"),
        newtask_flags: optional(NEWTASK, "clone_flags"),
        exec_filename: optional(EXEC, "__data_loc_filename"),
        exec_old_pid: optional(EXEC, "old_pid"),
    })
}

const EMPTY: NamespaceOffsets = NamespaceOffsets {
    common: ABSENT,
    id: ABSENT,
    refs: ABSENT,
    owner: ABSENT,
    parent: ABSENT,
    level: ABSENT,
    list: ABSENT,
};

/// The offsets of one kind.
fn namespace(btf: &Btf<'_>, kind: Kind) -> Result<NamespaceOffsets, Error> {
    let name = match kind {
        Kind::Mnt => "mnt_namespace",
        Kind::Pid => "pid_namespace",
        Kind::Ipc => "ipc_namespace",
        Kind::Uts => "uts_namespace",
        Kind::Net => "net",
        Kind::User => "user_namespace",
        Kind::Cgroup => "cgroup_namespace",
        Kind::Time => "time_namespace",
    };
    let find = |path| btf.member(name, path).map(|member| member.offset);
    let must = |path| find(path).ok_or_else(|| Error::Missing(format!("{path} in struct {name}")));
    // Before the 64-bit id of every namespace (6.18) only two kinds had one of their own.
    let id = find("ns.ns_id").or_else(|| match kind {
        Kind::Mnt => find("seq"),
        // Before 5.12 an `atomic64_t` that is 0 until somebody asks for it: nothing to go by.
        Kind::Net if find("net_cookie.counter").is_none() => find("net_cookie"),
        _ => None,
    });
    // Before 5.11 each kind counted in its own way.
    let refs = ["ns.__ns_ref", "ns.count", "count", "kref"].into_iter().find_map(find);
    let list = ["ns.ns_list_node", "ns.ns_tree_node.ns_list_entry"].into_iter().find_map(find);
    let list = list.or_else(|| if kind == Kind::Net { find("list") } else { None });
    Ok(NamespaceOffsets {
        common: must("ns")?,
        id: id.unwrap_or(ABSENT),
        refs: refs.ok_or_else(|| Error::Missing(format!("reference count in struct {name}")))?,
        owner: must(if kind == Kind::User { "parent" } else { "user_ns" })?,
        parent: if kind.nests() { must("parent")? } else { ABSENT },
        level: if kind.nests() { must("level")? } else { ABSENT },
        list: list.unwrap_or(ABSENT),
    })
}

/// Whether no kernel has the offset of this name, since there is no such thing.
#[must_use]
pub fn is_void(name: &str) -> bool {
    let has_parent = |kind: &str| ["pid", "user"].contains(&kind);
    match name.split('.').collect::<Vec<_>>().as_slice() {
        ["nsproxy", slot] => ["pid", "user"].contains(slot),
        ["namespaces", kind, "parent" | "level"] => !has_parent(kind),
        _ => false,
    }
}

/// Every offset with its name, such as `task_nsproxy`, `nsproxy.net` or `namespaces.net.owner`;
/// `None` is one that the kernel does not have.
#[must_use]
pub fn named(offsets: &Offsets) -> Vec<(String, Option<u32>)> {
    let mut names = Vec::new();
    for field in Offsets::FIELDS {
        match *field {
            "namespaces" => names.extend(Kind::ALL.iter().flat_map(|kind| {
                let fields = NamespaceOffsets::FIELDS.iter();
                fields.map(move |inner| format!("{field}.{}.{inner}", kind.name()))
            })),
            "nsproxy" => {
                names.extend(Slot::ALL.iter().map(|slot| format!("{field}.{}", slot.name())));
            }
            _ => names.push((*field).to_owned()),
        }
    }
    // All fields are of one type, and the struct is #[repr(C)].
    let values: &[u32] = bytemuck::cast_slice(bytemuck::bytes_of(offsets));
    let known = |value: &u32| (*value != ABSENT).then_some(*value);
    names.into_iter().zip(values.iter().map(known)).collect()
}

/// The member of `nsproxy` behind a slot.
const fn proxied(slot: Slot) -> Option<&'static str> {
    Some(match slot {
        Slot::Mnt => "mnt_ns",
        Slot::PidForChildren => "pid_ns_for_children",
        Slot::Ipc => "ipc_ns",
        Slot::Uts => "uts_ns",
        Slot::Net => "net_ns",
        Slot::Cgroup => "cgroup_ns",
        Slot::Time => "time_ns",
        Slot::TimeForChildren => "time_ns_for_children",
        Slot::Pid | Slot::User => return None,
    })
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;

    #[test]
    fn every_offset_has_its_name() {
        let mut offsets = Offsets { inum: 7, clone_args_flags: 9, ..Offsets::zeroed() };
        offsets.nsproxy[Slot::Net as usize] = 40;
        offsets.namespaces[Kind::Time as usize].level = ABSENT;
        let named = named(&offsets);
        assert_eq!(named.len() * 4, size_of::<Offsets>());
        let value = |name: &str| named.iter().find(|(called, _)| called == name).unwrap().1;
        assert_eq!(value("inum"), Some(7));
        assert_eq!(value("clone_args_flags"), Some(9));
        assert_eq!(value("nsproxy.net"), Some(40));
        assert_eq!(value("namespaces.time.level"), None);
    }
}

/// The offset of a member that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

macro_rules! offsets {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// The names of the fields, in order.
            pub const FIELDS: &[&str] = &[$(stringify!($field)),*];
        }
    };
}

offsets! {
    /// Where one kind of namespace keeps things, from the start of its struct.
    NamespaceOffsets {
        /// The embedded `ns_common`.
        common: u32,
        /// The 64-bit identity: `ns_common.ns_id`, or `seq` (mnt), `net_cookie` (net) before 6.18.
        id: u32,
        /// The reference count: `ns_common.__ns_ref` (6.18+), `ns_common.count` (5.11+), or the
        /// struct's own `count` or `kref`.
        refs: u32,
        /// The owning user namespace; for user namespaces the parent.
        owner: u32,
        /// The parent, of pid and user namespaces only.
        parent: u32,
        /// The depth, of pid and user namespaces only.
        level: u32,
        /// The entry in the list of all of its kind: `ns_common.ns_list_node` (6.18),
        /// `ns_common.ns_tree_node.ns_list_entry` (6.19+), `net.list` before.
        list: u32,
    }
}

offsets! {
    /// Byte offsets of all members that the probes read, from the running kernel's BTF.
    ///
    /// Userspace puts them into read-only data before loading, so the verifier sees constants and
    /// drops the code behind what is [`ABSENT`].
    Offsets {
        /// Per [`Kind`](crate::Kind), in the order of its discriminants.
        namespaces: [NamespaceOffsets; 8],
        /// `ns_common.inum`
        inum: u32,
        /// `ns_common.ns_type` (6.18+): the clone flag of the kind.
        ns_type: u32,
        /// `ns_common.ops`
        ops: u32,
        /// `proc_ns_operations.type` (before 6.18): the clone flag of the kind.
        ops_type: u32,
        /// Per slot the member of `nsproxy`; [`ABSENT`] for pid and user, which live elsewhere.
        nsproxy: [u32; 10],
        /// `task_struct.nsproxy`
        task_nsproxy: u32,
        /// `task_struct.real_cred`
        task_real_cred: u32,
        /// `task_struct.thread_pid`
        task_thread_pid: u32,
        /// `task_struct.pid`
        task_pid: u32,
        /// `task_struct.tgid`
        task_tgid: u32,
        /// `task_struct.real_parent`
        task_real_parent: u32,
        /// `task_struct.start_boottime`
        task_start_boottime: u32,
        /// `task_struct.cgroups`
        task_cgroups: u32,
        /// `task_struct.comm`
        task_comm: u32,
        /// `task_struct.flags`
        task_flags: u32,
        /// `task_struct.exit_code`
        task_exit_code: u32,
        /// `task_struct.mm`
        task_mm: u32,
        /// `task_struct.files`
        task_files: u32,
        /// `task_struct.tasks`
        task_tasks: u32,
        /// `task_struct.signal`
        task_signal: u32,
        /// `task_struct.thread_node`
        task_thread_node: u32,
        /// `task_struct.children`
        task_children: u32,
        /// `task_struct.sibling`
        task_sibling: u32,
        /// `task_struct.thread_info.status`
        task_status: u32,
        /// `task_struct.stack`
        task_stack: u32,
        /// The size of `struct pt_regs`: the registers that user space had when it entered the
        /// kernel lie at the end of the task's stack.
        registers_len: u32,
        /// `signal_struct.thread_head`
        signal_thread_head: u32,
        /// `user_namespace.owner`: who made it.
        user_owner: u32,
        /// `cred.user_ns`
        cred_user_ns: u32,
        /// `cred.uid`
        cred_uid: u32,
        /// `cred.gid`
        cred_gid: u32,
        /// `cred.euid`
        cred_euid: u32,
        /// `cred.cap_effective`
        cred_caps: u32,
        /// `pid.level`
        pid_level: u32,
        /// `pid.numbers`
        pid_numbers: u32,
        /// `css_set.dfl_cgrp`
        css_dfl_cgrp: u32,
        /// `cgroup_subsys_state.cgroup`
        css_cgroup: u32,
        /// `cgroup.kn`
        cgroup_kn: u32,
        /// `kernfs_node.id`
        kernfs_id: u32,
        /// `mm_struct.arg_start`
        mm_arg_start: u32,
        /// `mm_struct.arg_end`
        mm_arg_end: u32,
        /// `linux_binprm.filename`
        bprm_filename: u32,
        /// `mnt_namespace.event`
        mnt_event: u32,
        /// `files_struct.fdt`
        files_fdt: u32,
        /// `fdtable.fd`
        fdt_fd: u32,
        /// `fdtable.max_fds`
        fdt_max_fds: u32,
        /// `fdtable.open_fds`
        fdt_open_fds: u32,
        /// `file.f_cred`
        file_cred: u32,
        /// `file.f_inode`
        file_inode: u32,
        /// `file.f_path.dentry`
        file_dentry: u32,
        /// `file.private_data`
        file_private: u32,
        /// `seq_file.private`
        seq_private: u32,
        /// `inode.i_private`
        inode_private: u32,
        /// `inode.i_sb`
        inode_sb: u32,
        /// `super_block.s_magic`
        sb_magic: u32,
        /// `dentry.d_name.name`
        dentry_name: u32,
        /// `proc_inode.pid`
        proc_inode_pid: u32,
        /// `proc_inode.vfs_inode`
        proc_inode_vfs: u32,
        /// `proc_mounts.ns`
        mounts_ns: u32,
        /// `kernfs_open_file.priv`
        kernfs_open_priv: u32,
        /// `cgroup_file_ctx.ns`
        cgroup_file_ns: u32,
        /// `file.f_owner` (6.12+)
        file_owner: u32,
        /// `file.f_owner.pid` (before 6.12)
        file_owner_pid: u32,
        /// `fown_struct.pid`
        fown_pid: u32,
        /// `socket.sk`
        socket_sk: u32,
        /// `sock.__sk_common.skc_family`
        sock_family: u32,
        /// `sock.__sk_common.skc_state`
        sock_state: u32,
        /// `sock.__sk_common.skc_net.net`
        sock_net: u32,
        /// `sock.sk_receive_queue`
        sock_queue: u32,
        /// `sock.sk_peer_pid`
        sock_peer_pid: u32,
        /// `sock.sk_peer_cred`
        sock_peer_cred: u32,
        /// `sk_buff.next`
        skb_next: u32,
        /// `sk_buff.sk`
        skb_sk: u32,
        /// `sk_buff.cb`
        skb_cb: u32,
        /// `unix_skb_parms.pid`
        unix_pid: u32,
        /// `unix_skb_parms.fp`
        unix_fp: u32,
        /// `scm_fp_list.count`
        scm_count: u32,
        /// `scm_fp_list.fp`
        scm_fp: u32,
        /// `io_ring_ctx.file_table.files` (before 6.13)
        ring_files: u32,
        /// `io_ring_ctx.nr_user_files` (before 6.13)
        ring_files_count: u32,
        /// `io_ring_ctx.file_table.data.nodes` (6.13+)
        ring_nodes: u32,
        /// `io_ring_ctx.file_table.data.nr` (6.13+)
        ring_nodes_count: u32,
        /// `io_rsrc_node.file_ptr` (6.13+)
        ring_node_file: u32,
        /// `mm_struct.mm_mt.ma_root` (6.1+)
        mm_tree: u32,
        /// `maple_node.mr64.slot` (6.1+)
        maple_slots: u32,
        /// `maple_node.ma64.slot` (6.1+)
        maple_arange_slots: u32,
        /// `vm_area_struct.vm_mm`
        vma_mm: u32,
        /// `vm_area_struct.vm_file`
        vma_file: u32,
        /// `shm_file_data.id`
        shm_id: u32,
        /// `shm_file_data.ns`
        shm_ns: u32,
        /// `kernel_clone_args.flags`
        clone_args_flags: u32,
        /// `trace_event_raw_task_newtask.pid`
        newtask_pid: u32,
        /// `trace_event_raw_task_newtask.clone_flags`
        newtask_flags: u32,
        /// `trace_event_raw_sched_process_exec.__data_loc_filename`
        exec_filename: u32,
        /// `trace_event_raw_sched_process_exec.old_pid`
        exec_old_pid: u32,
    }
}

//! Users, groups and capabilities of the program.

use rustix::{
    process::{Gid, Uid},
    thread::{
        capabilities, configure_capability_in_ambient_set, set_capabilities, set_thread_gid,
        set_thread_groups, set_thread_uid,
    },
};
use serde::Serialize;

use super::{Action, Scene, Trouble, reason};

/// Becomes another user or group; the groups first, while that is still allowed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Identity {
    /// The group; the supplementary groups are dropped with the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

impl Action for Identity {
    fn describe(&self) -> String {
        let gid = self.gid.map(|gid| format!("group {gid} and no other"));
        let uid = self.uid.map(|uid| format!("user {uid}"));
        let both: Vec<_> = gid.into_iter().chain(uid).collect();
        format!("become {}", both.join(", "))
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        if let Some(gid) = self.gid {
            set_thread_groups(&[]).map_err(|error| {
                Trouble::of("cannot drop the supplementary groups", &error.into())
                    .because(reason::of_groups(error))
            })?;
            set_thread_gid(Gid::from_raw(gid)).map_err(|error| {
                Trouble::of(format!("cannot become group {gid}"), &error.into())
                    .because(reason::of_identity("gid_map", gid, error))
            })?;
        }
        if let Some(uid) = self.uid {
            set_thread_uid(Uid::from_raw(uid)).map_err(|error| {
                Trouble::of(format!("cannot become user {uid}"), &error.into())
                    .because(reason::of_identity("uid_map", uid, error))
            })?;
        }
        Ok(())
    }
}

/// Lets the program keep all capabilities, whoever runs it: they become ambient (capabilities(7)).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct KeepCapabilities {}

impl Action for KeepCapabilities {
    fn describe(&self) -> String {
        "keep all capabilities".to_owned()
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        let refused =
            |error: rustix::io::Errno| Trouble::of("cannot keep the capabilities", &error.into());
        let mut sets = capabilities(None).map_err(refused)?;
        sets.inheritable = sets.permitted;
        set_capabilities(None, sets).map_err(refused)?;
        for capability in sets.permitted.iter() {
            configure_capability_in_ambient_set(capability, true).map_err(refused)?;
        }
        Ok(())
    }
}

//! The user a container runs as: ids given in the pod, or names looked up in the image's own files.

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};

/// User and groups of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home directory by `/etc/passwd`.
    pub home: Option<String>,
}

/// Reads a file of an image through its layers, the topmost first. Links inside the image are not followed: account
/// files are plain files, and a link could lead out of the image.
pub(crate) fn read(layers: &[PathBuf], path: &str) -> Option<String> {
    layers.iter().rev().find_map(|layer| {
        let mut dir = nix::fcntl::open(layer, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let components: Vec<_> = Path::new(path)
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        let (file, dirs) = components.split_last()?;
        for name in dirs {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            dir = openat(&dir, *name, flags, Mode::empty()).ok()?;
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = std::fs::File::from(openat(&dir, *file, flags, Mode::empty()).ok()?);
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut text = String::new();
        file.take(4 << 20).read_to_string(&mut text).ok()?;
        Some(text)
    })
}

/// What the pod says about ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// `runAsUser`.
    pub uid: Option<i64>,
    /// `runAsGroup`.
    pub gid: Option<i64>,
    /// `supplementalGroups` and `fsGroup`.
    pub groups: Vec<i64>,
    /// `supplementalGroupsPolicy: Strict`: groups of the image don't count.
    pub strict: bool,
    /// `runAsNonRoot`.
    pub non_root: bool,
}

/// The user a process runs as. `image_user` is the image's `USER`.
pub(crate) fn resolve(wanted: &Wanted, image_user: &str, passwd: &str, group: &str) -> Result<User, String> {
    let (user_part, group_part) = match image_user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (image_user, None),
    };
    let entry = |name: &str| {
        passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| {
                fields.len() >= 6 && (fields[0] == name || (name.parse::<u32>().is_ok() && fields[2] == name))
            })
    };
    let by_name = user_part.parse::<u32>().is_err() && !user_part.is_empty();
    let user_name = match wanted.uid {
        Some(uid) => uid.to_string(),
        None if user_part.is_empty() => "0".into(),
        None => user_part.to_owned(),
    };
    if wanted.non_root && wanted.uid.is_none() && by_name {
        return Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({user_part}), cannot verify user is non-root"
        ));
    }
    let known = entry(&user_name);
    let uid = match (&known, user_name.parse::<u32>()) {
        (_, Ok(uid)) => uid,
        (Some(fields), Err(_)) => fields[2]
            .parse()
            .map_err(|_| format!("user {user_name}: bad id"))?,
        (None, Err(_)) => {
            return Err(format!(
                "unable to find user {user_name}: no matching entries in passwd file"
            ));
        }
    };
    if wanted.non_root && uid == 0 {
        return Err(if wanted.uid.is_some() {
            "container's runAsUser breaks non-root policy".into()
        } else {
            "container has runAsNonRoot and image will run as root".into()
        });
    }
    let account_gid = known.as_ref().and_then(|fields| fields[3].parse::<u32>().ok());
    let gid = match (wanted.gid, group_part) {
        (Some(gid), _) => u32::try_from(gid).map_err(|_| format!("bad group id {gid}"))?,
        (None, Some(name)) if wanted.uid.is_none() => group_id(group, name)?,
        _ => account_gid.unwrap_or(0),
    };
    let mut groups: BTreeSet<u32> = BTreeSet::new();
    if !wanted.strict
        && let Some(fields) = &known
    {
        groups.extend(member_of(group, fields[0]));
    }
    groups.extend(wanted.groups.iter().filter_map(|gid| u32::try_from(*gid).ok()));
    groups.remove(&gid);
    Ok(User {
        uid,
        gid,
        groups: std::iter::once(gid).chain(groups).collect(),
        home: known
            .map(|fields| fields[5].to_owned())
            .filter(|home| !home.is_empty()),
    })
}

fn group_id(group: &str, name: &str) -> Result<u32, String> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    group
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.len() >= 3 && fields[0] == name)
        .and_then(|fields| fields[2].parse().ok())
        .ok_or_else(|| format!("unable to find group {name}: no matching entries in group file"))
}

fn member_of(group: &str, user: &str) -> Vec<u32> {
    group
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter(|fields| fields.len() >= 4 && fields[3].split(',').any(|member| member == user))
        .filter_map(|fields| fields[2].parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nextra:x:77:web,other\n";

    #[test]
    fn a_name_is_looked_up_in_the_image() {
        let user = resolve(&Wanted::default(), "web", PASSWD, GROUP).expect("user");
        assert_eq!((user.uid, user.gid, user.groups), (33, 34, vec![34, 77]));
        assert_eq!(user.home.as_deref(), Some("/srv"));
    }

    #[test]
    fn the_pod_decides_over_the_image() {
        let wanted = Wanted {
            uid: Some(1000),
            gid: Some(5),
            groups: vec![9],
            ..Wanted::default()
        };
        let user = resolve(&wanted, "web:extra", PASSWD, GROUP).expect("user");
        assert_eq!((user.uid, user.gid, user.groups), (1000, 5, vec![5, 9]));
    }

    #[test]
    fn a_group_after_the_colon_is_the_primary_one() {
        let user = resolve(&Wanted::default(), "33:extra", PASSWD, GROUP).expect("user");
        assert_eq!((user.uid, user.gid), (33, 77));
    }

    #[test]
    fn run_as_non_root_refuses_root_and_names() {
        let wanted = Wanted {
            non_root: true,
            ..Wanted::default()
        };
        assert!(
            resolve(&wanted, "", PASSWD, GROUP)
                .expect_err("root")
                .contains("will run as root")
        );
        assert!(
            resolve(&wanted, "web", PASSWD, GROUP)
                .expect_err("name")
                .contains("non-numeric")
        );
        assert!(resolve(&wanted, "33", PASSWD, GROUP).is_ok());
    }

    #[test]
    fn an_unknown_name_is_an_error_and_an_unknown_number_is_not() {
        assert!(resolve(&Wanted::default(), "nobody", PASSWD, GROUP).is_err());
        assert_eq!(
            resolve(&Wanted::default(), "4242", PASSWD, GROUP)
                .expect("user")
                .gid,
            0
        );
    }
}

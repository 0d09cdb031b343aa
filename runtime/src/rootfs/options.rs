//! Mount options of an OCI configuration, parsed into what the kernel's mount calls take.

use rustix::mount::MountPropagationFlags;
use skiff_sys::mount as attr;

/// Words that are not handed to the file system, for `features`.
pub(crate) const KNOWN: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "lazytime",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// A parsed option list. Source: OCI runtime-spec, config.md, "Linux mount options".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `bind` or `rbind`.
    pub bind: bool,
    /// `rbind`.
    pub bind_recursive: bool,
    /// Change what is mounted there already.
    pub remount: bool,
    /// Mount attributes to set on this mount.
    pub set: u64,
    /// Mount attributes to clear on it.
    pub clear: u64,
    /// Mount attributes to set on it and all below.
    pub set_recursive: u64,
    /// Mount attributes to clear on it and all below.
    pub clear_recursive: u64,
    /// Propagation types in the order given.
    pub propagation: Vec<Propagation>,
    /// Options for the file system itself: `key` or `key=value`.
    pub data: Vec<String>,
    /// Copy what the mount hides into the new tmpfs.
    pub copy_up: bool,
    /// Map its ids.
    pub idmap: bool,
    /// Map those of all mounts below too.
    pub idmap_recursive: bool,
}

/// How mount events travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Propagation {
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`.
    pub kind: u64,
    /// All mounts below too.
    pub recursive: bool,
}

impl Propagation {
    /// Parses `rslave` and so on.
    pub fn parse(word: &str) -> Option<Self> {
        let (kind, recursive) = match word {
            "shared" => (libc::MS_SHARED, false),
            "rshared" => (libc::MS_SHARED, true),
            "slave" => (libc::MS_SLAVE, false),
            "rslave" => (libc::MS_SLAVE, true),
            "private" => (libc::MS_PRIVATE, false),
            "rprivate" => (libc::MS_PRIVATE, true),
            "unbindable" => (libc::MS_UNBINDABLE, false),
            "runbindable" => (libc::MS_UNBINDABLE, true),
            _ => return None,
        };
        Some(Propagation { kind, recursive })
    }

    /// As mount(2) takes it.
    pub fn flags(self) -> MountPropagationFlags {
        let bits = self.kind | if self.recursive { libc::MS_REC } else { 0 };
        MountPropagationFlags::from_bits_retain(bits as u32)
    }
}

/// One attribute word: bits to set and to clear.
fn attribute(word: &str) -> Option<(u64, u64)> {
    // The atime settings are one field: choosing one clears the field first.
    let atime = attr::MOUNT_ATTR__ATIME;
    Some(match word {
        "ro" => (attr::MOUNT_ATTR_RDONLY, 0),
        "rw" => (0, attr::MOUNT_ATTR_RDONLY),
        "nosuid" => (attr::MOUNT_ATTR_NOSUID, 0),
        "suid" => (0, attr::MOUNT_ATTR_NOSUID),
        "nodev" => (attr::MOUNT_ATTR_NODEV, 0),
        "dev" => (0, attr::MOUNT_ATTR_NODEV),
        "noexec" => (attr::MOUNT_ATTR_NOEXEC, 0),
        "exec" => (0, attr::MOUNT_ATTR_NOEXEC),
        "nodiratime" => (attr::MOUNT_ATTR_NODIRATIME, 0),
        "diratime" => (0, attr::MOUNT_ATTR_NODIRATIME),
        "nosymfollow" => (attr::MOUNT_ATTR_NOSYMFOLLOW, 0),
        "symfollow" => (0, attr::MOUNT_ATTR_NOSYMFOLLOW),
        "relatime" | "atime" | "norelatime" | "nostrictatime" => (attr::MOUNT_ATTR_RELATIME, atime),
        "noatime" => (attr::MOUNT_ATTR_NOATIME, atime),
        "strictatime" => (attr::MOUNT_ATTR_STRICTATIME, atime),
        _ => return None,
    })
}

impl Options {
    /// Parses an option list; what is not a known word goes to the file system.
    pub fn parse(words: &[String]) -> Self {
        let mut options = Options::default();
        for word in words.iter().flat_map(|w| w.split(',')) {
            options.add(word);
        }
        options
    }

    /// The attributes that a new mount can be made with. Read-only is set when everything is in place.
    pub fn at_birth(&self) -> u64 {
        (self.set | self.set_recursive) & !attr::MOUNT_ATTR_RDONLY
    }

    /// What is left to be changed of a mount that was made with those: it has no attribute that could be cleared.
    pub fn beyond_birth(&self) -> Self {
        Options {
            set: self.set & attr::MOUNT_ATTR_RDONLY,
            clear: 0,
            set_recursive: self.set_recursive & attr::MOUNT_ATTR_RDONLY,
            clear_recursive: self.clear_recursive & (self.at_birth() | attr::MOUNT_ATTR_RDONLY),
            ..self.clone()
        }
    }

    fn add(&mut self, word: &str) {
        if let Some((set, clear)) = attribute(word) {
            self.set = (self.set & !clear) | set;
            self.clear = (self.clear & !set) | clear;
            return;
        }
        if let Some((set, clear)) = word.strip_prefix('r').and_then(attribute) {
            self.set_recursive = (self.set_recursive & !clear) | set;
            self.clear_recursive = (self.clear_recursive & !set) | clear;
            return;
        }
        if let Some(propagation) = Propagation::parse(word) {
            self.propagation.push(propagation);
            return;
        }
        match word {
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.bind_recursive) = (true, true),
            "remount" => self.remount = true,
            "idmap" => self.idmap = true,
            "ridmap" => (self.idmap, self.idmap_recursive) = (true, true),
            "tmpcopyup" => self.copy_up = true,
            // Words of mount(8) that say nothing to the kernel.
            "defaults" | "async" | "nofail" | "auto" | "noauto" | "user" | "nouser" | "_netdev" | "loud" => {}
            "" => (),
            data => self.data.push(data.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Options {
        Options::parse(&words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn attributes_and_data_are_told_apart() {
        let o = parse("nosuid strictatime mode=755 size=65536k");
        assert_eq!(o.set, attr::MOUNT_ATTR_NOSUID | attr::MOUNT_ATTR_STRICTATIME);
        assert_eq!(o.data, ["mode=755", "size=65536k"]);
        assert!(!o.bind);
    }

    #[test]
    fn a_new_mount_is_changed_only_to_be_read_only() {
        let o = parse("nosuid strictatime mode=755 slave").beyond_birth();
        assert_eq!((o.set, o.clear, o.set_recursive, o.clear_recursive), (0, 0, 0, 0));
        assert_eq!(o.propagation.len(), 1);
        let o = parse("nosuid noexec ro");
        assert_eq!(o.at_birth(), attr::MOUNT_ATTR_NOSUID | attr::MOUNT_ATTR_NOEXEC);
        assert_eq!(o.beyond_birth().set, attr::MOUNT_ATTR_RDONLY);
        let o = parse("nosuid rsuid").beyond_birth();
        assert_eq!(o.clear_recursive, attr::MOUNT_ATTR_NOSUID);
    }

    #[test]
    fn a_later_word_wins() {
        let o = parse("ro rw");
        assert_eq!((o.set, o.clear), (0, attr::MOUNT_ATTR_RDONLY));
        let o = parse("rw ro");
        assert_eq!((o.set, o.clear), (attr::MOUNT_ATTR_RDONLY, 0));
    }

    #[test]
    fn recursive_attributes_are_kept_apart_from_propagation() {
        let o = parse("rbind rro rprivate");
        assert!(o.bind && o.bind_recursive);
        assert_eq!(o.set_recursive, attr::MOUNT_ATTR_RDONLY);
        assert_eq!(
            o.propagation,
            [Propagation {
                kind: libc::MS_PRIVATE,
                recursive: true
            }]
        );
    }
}

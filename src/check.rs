//! `skiff check`: what this machine has of what skiff needs, and the commands that would add what is missing.

use std::{net::TcpListener, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Result, bail};
use nix::unistd::{User, getuid};

use crate::{cli::CheckArgs, paths::Paths, scope};

/// How a finding matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    /// Works, with less.
    Less,
    /// Does not work.
    Missing,
}

struct Finding {
    level: Level,
    what: &'static str,
    text: String,
    /// Command (as root) that would help.
    remedy: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            what,
            text: text.into(),
            remedy: None,
        }
    }

    fn less(what: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            level: Level::Less,
            what,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn missing(what: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            level: Level::Missing,
            what,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// Prints all findings and the remedies together; 1 when something essential is missing.
pub fn run(paths: &Paths, args: &CheckArgs) -> i32 {
    let mut findings = vec![
        kernel(),
        user_namespaces(),
        id_ranges(),
        overlay(),
        cgroups(),
        tun(),
    ];
    findings.push(port(args.port));
    findings.push(disk(paths));
    for finding in &findings {
        let mark = match finding.level {
            Level::Ok => "ok     ",
            Level::Less => "limited",
            Level::Missing => "MISSING",
        };
        crate::output::say!("{mark}  {:16} {}", finding.what, finding.text);
    }
    let remedies: Vec<_> = findings
        .iter()
        .filter(|f| f.level != Level::Ok)
        .filter_map(|f| f.remedy.as_ref())
        .collect();
    if !remedies.is_empty() {
        crate::output::say!("\nAs root, once:");
        for remedy in remedies {
            crate::output::say!("  {remedy}");
        }
    }
    i32::from(findings.iter().any(|f| f.level == Level::Missing))
}

/// Fails with text and remedy when something is missing without which nothing works.
pub fn essentials() -> Result<()> {
    for finding in [kernel(), user_namespaces()] {
        if finding.level == Level::Missing {
            bail!(
                "{}: {}; {}",
                finding.what,
                finding.text,
                finding.remedy.unwrap_or_default()
            );
        }
    }
    Ok(())
}

fn kernel() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut parts = release
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|p| p.parse::<u32>().ok());
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version >= (5, 13) {
        Finding::ok("kernel", release)
    } else {
        Finding::missing(
            "kernel",
            format!("{release} is older than 5.13"),
            "apt-get install linux-image-amd64 && reboot",
        )
    }
}

/// Tries it, in a child: sysctls, seccomp and security modules each have their own way to refuse.
fn user_namespaces() -> Finding {
    let what = "user namespaces";
    if getuid().is_root() {
        return Finding::ok(what, "not needed as root");
    }
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--net", "true"])
        .output();
    let refused = match tried {
        Ok(output) if output.status.success() => return Finding::ok(what, "allowed"),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let restricted = |path: &str, bad: &str| std::fs::read_to_string(path).is_ok_and(|t| t.trim() == bad);
    let remedy = if restricted("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "sysctl -w kernel.unprivileged_userns_clone=1"
    } else if restricted("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    } else if restricted("/proc/sys/user/max_user_namespaces", "0") {
        "sysctl -w user.max_user_namespaces=15000"
    } else {
        "allow user namespaces for ordinary users (a container engine or security module around us forbids them)"
    };
    Finding::missing(what, refused, remedy)
}

fn id_ranges() -> Finding {
    let what = "user id range";
    if getuid().is_root() {
        return Finding::ok(what, "not needed as root");
    }
    let user = User::from_uid(getuid())
        .ok()
        .flatten()
        .map(|u| u.name)
        .unwrap_or_else(|| getuid().to_string());
    let remedy = format!(
        "apt-get install uidmap && usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
    );
    let without = "pods run with a single user id: images that switch users will fail";
    let has_range = |path: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().any(|line| {
            let mut fields = line.split(':');
            let owner = fields.next().unwrap_or_default();
            owner == user || owner == getuid().to_string()
        })
    };
    if !has_range("/etc/subuid") || !has_range("/etc/subgid") {
        return Finding::less(
            what,
            format!("no range for {user} in /etc/subuid and /etc/subgid: {without}"),
            remedy,
        );
    }
    let helpers = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];
    if helpers.iter().any(|h| !is_executable(h)) {
        return Finding::less(what, format!("newuidmap is not installed: {without}"), remedy);
    }
    Finding::ok(what, format!("{user} has one"))
}

fn is_executable(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
}

fn overlay() -> Finding {
    let listed = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if listed
        .lines()
        .any(|l| l.split_whitespace().last() == Some("overlay"))
    {
        return Finding::ok("overlay", "in the kernel");
    }
    Finding::missing(
        "overlay",
        "the kernel does not have overlayfs loaded",
        "modprobe overlay",
    )
}

fn cgroups() -> Finding {
    let what = "cgroups";
    let controllers = Path::new("/sys/fs/cgroup/cgroup.controllers");
    if !controllers.exists() {
        if getuid().is_root() {
            return Finding::ok(what, "version 1 (limits work through it)");
        }
        return Finding::less(
            what,
            "version 1: ordinary users can't set limits with it; pods run without",
            "add systemd.unified_cgroup_hierarchy=1 to the kernel command line && reboot",
        );
    }
    if getuid().is_root() {
        return Finding::ok(what, "version 2");
    }
    let Some(manager) = scope::manager() else {
        return Finding::less(
            what,
            "version 2, but no systemd of yours runs that could delegate a part of it to you: pods run without limits",
            format!("loginctl enable-linger {}", login()),
        );
    };
    let have = std::fs::read_to_string(manager.join("cgroup.controllers")).unwrap_or_default();
    let missing: Vec<_> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|c| !have.split_whitespace().any(|h| h == *c))
        .collect();
    if missing.is_empty() {
        let login = login();
        if Path::new("/var/lib/systemd/linger").join(&login).exists() {
            return Finding::ok(what, "version 2, delegated to you");
        }
        return Finding::less(
            what,
            "version 2, delegated to you while you are logged in: pods with limits end with your last session",
            format!("loginctl enable-linger {login}"),
        );
    }
    Finding::less(
        what,
        format!(
            "version 2, but {} not delegated to you: pods run without those limits",
            missing.join(", ")
        ),
        "mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' \
         >/etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload",
    )
}

/// Our login name.
fn login() -> String {
    let user = nix::unistd::User::from_uid(getuid()).ok().flatten();
    user.map_or_else(|| getuid().to_string(), |user| user.name)
}

fn tun() -> Finding {
    match std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
    {
        Ok(_) => Finding::ok("/dev/net/tun", "open to you"),
        // One node needs none; several use another way.
        Err(error) => Finding::ok("/dev/net/tun", format!("not open to you ({error}); not needed")),
    }
}

fn port(port: u16) -> Finding {
    match TcpListener::bind(("0.0.0.0", port)) {
        Ok(_) => Finding::ok("port", format!("{port} is free")),
        Err(error) => Finding {
            level: Level::Less,
            what: "port",
            text: format!(
                "{port}: {error} (a cluster that runs already is fine; else choose another with --port)"
            ),
            remedy: None,
        },
    }
}

fn disk(paths: &Paths) -> Finding {
    let existing = paths
        .data
        .ancestors()
        .find(|p| p.exists())
        .unwrap_or(Path::new("/"));
    match nix::sys::statvfs::statvfs(existing) {
        Ok(stat) => {
            let free = stat.blocks_available() * stat.fragment_size() / (1 << 20);
            if free < 1024 {
                let text = format!("{free} MiB free under {}: images need more", paths.data.display());
                return Finding::less("disk", text, "make room, or choose another --data-dir");
            }
            Finding::ok("disk", format!("{free} MiB free under {}", paths.data.display()))
        }
        Err(error) => Finding::less(
            "disk",
            format!("{}: {error}", existing.display()),
            "choose another --data-dir",
        ),
    }
}

//! Network namespaces that tests make.

use std::{fs::File, os::fd::AsRawFd, process::Command, sync::Arc};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns, unshare};

use crate::{need, need_root};

/// A network namespace without a name: it goes with the last handle, process and socket in it.
#[derive(Clone, Debug)]
pub struct Netns(Arc<File>);

impl Netns {
    /// An empty namespace whose loopback is up.
    ///
    /// # Errors
    /// [`Unmet`](crate::Unmet) for ordinary users, and without iproute2 and util-linux.
    pub fn create() -> Result<Self> {
        need_root()?;
        for program in ["ip", "nsenter"] {
            need(program)?;
        }
        // On a thread that ends at once: it is in the new namespace for good.
        let made = std::thread::spawn(|| -> Result<File> {
            unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
            Self::of_thread()
        });
        let file = made
            .join()
            .map_err(|_| anyhow::anyhow!("the thread panicked"))??;
        let netns = Self(Arc::new(file));
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    fn of_thread() -> Result<File> {
        File::open("/proc/thread-self/ns/net").context("look at our network namespace")
    }

    /// Moves the calling thread here for good.
    pub(crate) fn enter(&self) {
        setns(&*self.0, CloneFlags::CLONE_NEWNET).expect("enter a network namespace that we made");
    }

    /// Runs `work` on the calling thread in this namespace. Threads it starts are in it, too.
    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Home(File);
        impl Drop for Home {
            fn drop(&mut self) {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("go back to our network namespace");
            }
        }
        let _home = Home(Self::of_thread().expect("/proc is there"));
        self.enter();
        work()
    }

    /// The command, run in this namespace: it is entered before a program that changes users changes them.
    pub fn wrap(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("nsenter");
        wrapped
            .arg(format!(
                "--net=/proc/{}/fd/{}",
                std::process::id(),
                self.0.as_raw_fd()
            ))
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            wrapped.current_dir(dir);
        }
        wrapped
    }

    /// A program to be run in this namespace as the user of the test.
    pub fn command(&self, program: &str) -> Command {
        self.wrap(&Command::new(program))
    }

    /// Runs `ip` in this namespace and returns what it prints.
    pub fn ip(&self, words: &str) -> Result<String> {
        crate::run(self.command("ip").args(words.split_whitespace()))?.ok()
    }

    /// Connects this namespace with `other` by a veth pair: `name` here, `peer` there; both are up.
    pub fn connect(&self, name: &str, other: &Self, peer: &str) -> Result<()> {
        self.ip(&format!(
            "link add {name} type veth peer name {peer} netns /proc/{}/fd/{}",
            std::process::id(),
            other.0.as_raw_fd()
        ))?;
        self.ip(&format!("link set {name} up"))?;
        other.ip(&format!("link set {peer} up"))?;
        Ok(())
    }
}

//! A place in a [`Lan`](super::Lan), and what its packets go through.

use std::{
    fs,
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;

use super::Lan;
use crate::netns::Netns;

/// Table of the packets that are dropped.
const TABLE: &str = "parted";

/// Which packets, as the one sees it who drops them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Those that come.
    In,
    /// Those that go.
    Out,
    /// All.
    Both,
}

/// A network namespace with `eth0` on the bridge.
#[derive(Debug)]
pub struct Link {
    /// The bridge's.
    switch: Netns,
    netns: Netns,
    number: u8,
    address: Mutex<Ipv4Addr>,
}

impl Link {
    pub(super) fn plug(switch: &Netns, number: u8) -> Result<Self> {
        let netns = Netns::create()?;
        let port = port(number);
        switch.connect(&port, &netns, "eth0")?;
        switch.ip(&format!("link set {port} master lan0"))?;
        // As distributions have it; a new namespace allows nobody.
        netns.inside(|| fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"))?;
        let link = Self {
            switch: switch.clone(),
            netns,
            number,
            address: Mutex::new(Ipv4Addr::new(192, 168, 50, 10 + number)),
        };
        link.configure()?;
        Ok(link)
    }

    /// Which one it is in its network, from 1.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Its network namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its address now.
    pub fn address(&self) -> Ipv4Addr {
        *locked(&self.address)
    }

    fn configure(&self) -> Result<()> {
        self.netns
            .ip(&format!("address add {}/24 dev eth0", self.address()))?;
        self.netns
            .ip(&format!("route add default via {}", Lan::GATEWAY))?;
        Ok(())
    }

    /// Takes its address away and gives it another one, as DHCP may.
    ///
    /// # Errors
    /// Those of `ip`.
    pub fn change_address(&self, address: Ipv4Addr) -> Result<()> {
        self.netns.ip("address flush dev eth0 scope global")?;
        *locked(&self.address) = address;
        self.configure()
    }

    /// What comes to it takes its time from now on.
    ///
    /// # Errors
    /// Those of `tc`.
    pub fn slow_down(&self, megabits_per_second: u32) -> Result<()> {
        let port = port(self.number);
        let words = format!(
            "qdisc replace dev {port} root tbf rate {megabits_per_second}mbit burst 64k latency 50ms"
        );
        crate::run(self.switch.command("tc").args(words.split_whitespace()))?.ok()?;
        Ok(())
    }

    /// Drops everything between it and `other` from now on.
    ///
    /// # Errors
    /// Those of `nft`.
    pub fn part_from(&self, other: &Self) -> Result<()> {
        self.drop_between(other, Way::Both)
    }

    /// Drops what goes this way between it and `other` from now on.
    ///
    /// # Errors
    /// Those of `nft`.
    pub fn drop_between(&self, other: &Self, way: Way) -> Result<()> {
        let address = other.address();
        let incoming = (way != Way::Out).then(|| format!("ip saddr {address}"));
        let outgoing = (way != Way::In).then(|| format!("ip daddr {address}"));
        self.drop_packets(incoming.as_deref(), outgoing.as_deref())
    }

    /// Drops UDP from and to its network from now on.
    ///
    /// # Errors
    /// Those of `nft`.
    pub fn block_udp(&self) -> Result<()> {
        self.drop_packets(
            Some("iifname eth0 meta l4proto udp"),
            Some("oifname eth0 meta l4proto udp"),
        )
    }

    /// Drops so many of a hundred packets from and to its network, by chance, from now on.
    ///
    /// # Errors
    /// Those of `nft`.
    pub fn lose_packets(&self, of_hundred: u32) -> Result<()> {
        let chance = format!("numgen random mod 100 < {of_hundred}");
        self.drop_packets(
            Some(&format!("iifname eth0 {chance}")),
            Some(&format!("oifname eth0 {chance}")),
        )
    }

    /// Adds to what is dropped already.
    fn drop_packets(&self, incoming: Option<&str>, outgoing: Option<&str>) -> Result<()> {
        let rule = |which: Option<&str>| which.map(|which| format!("{which} drop;")).unwrap_or_default();
        let table = format!(
            "table ip {TABLE} {{
               chain in {{ type filter hook input priority -400; {} }}
               chain out {{ type filter hook output priority -400; {} }}
             }}",
            rule(incoming),
            rule(outgoing)
        );
        crate::run_with_input(self.netns.command("nft").args(["-f", "-"]), table.as_bytes())?.ok()?;
        Ok(())
    }

    /// Nothing is dropped any more.
    ///
    /// # Errors
    /// Those of `nft`.
    pub fn rejoin(&self) -> Result<()> {
        // Adding a table that is there already changes nothing, and one must be there to be deleted.
        let script = format!("add table ip {TABLE}\ndelete table ip {TABLE}\n");
        crate::run_with_input(self.netns.command("nft").args(["-f", "-"]), script.as_bytes())?.ok()?;
        Ok(())
    }
}

/// Its end on the bridge.
fn port(number: u8) -> String {
    format!("port{number}")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

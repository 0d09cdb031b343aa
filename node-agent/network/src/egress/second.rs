//! Egress of the second family: through sockets as long as the host itself has a way to the IPv6 world, refused at once while it
//! has none, so that clients go on with IPv4.

use std::{
    io,
    net::{Ipv6Addr, UdpSocket},
    time::Duration,
};

use ipnet::Ipv6Net;
use skiff_netns_proxy::netns::Namespace;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{Inside, Ports, Relay, to_sockets};
use crate::{
    Error, LINK_LOCAL,
    nftables::{Family, Rule},
};

/// IPv4 addresses as sockets of the other family name them; never seen on a wire.
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// Pause between two looks at the host's routes. Nothing is sent for it.
const LOOK: Duration = Duration::from_secs(3);

/// Listens, and follows what the host has.
pub(super) async fn start(relay: &Relay, with_ping: bool) -> Result<Vec<AbortOnDropHandle<()>>, Error> {
    let (ports, tasks) = relay.listen(Family::V6).await?;
    let second = Second {
        relay: relay.clone(),
        ports,
        with_ping,
    };
    let has_way = has_way(&relay.host).await;
    second.set(has_way).await?;
    let mut tasks = Vec::from(tasks);
    tasks.push(AbortOnDropHandle::new(tokio::spawn(second.follow(has_way))));
    Ok(tasks)
}

struct Second {
    relay: Relay,
    ports: Ports,
    with_ping: bool,
}

impl Second {
    /// Opens the way of pods to the world, or closes it.
    async fn set(&self, has_way: bool) -> Result<(), Error> {
        let rules = carried(self.relay.inside, has_way.then_some(self.ports));
        self.relay.hand_over(Family::V6, rules).await?;
        if self.with_ping {
            self.relay.lead_to_ping(Family::V6, has_way).await?;
        }
        Ok(())
    }

    async fn follow(self, mut has_way: bool) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let now = self::has_way(&self.relay.host).await;
            if now == has_way {
                continue;
            }
            match self.set(now).await {
                Ok(()) => {
                    info!(has_way = now, "the host's way to the IPv6 world has changed");
                    has_way = now;
                }
                Err(error) => warn!(%error, "egress of IPv6"),
            }
        }
    }
}

/// Whether the host has a route to the world.
async fn has_way(host: &Namespace) -> bool {
    let looked = host.run(|| -> io::Result<()> {
        let socket = UdpSocket::bind(("::", 0))?;
        // Set aside for documentation (RFC 3849): only the route to it is asked for.
        socket.connect(("2001:db8::1", 9))
    });
    matches!(looked.await, Ok(Ok(())))
}

/// The cluster's own traffic passes. Of the rest, TCP and UDP go to our sockets at `ports`; without those TCP is reset, which a
/// client sees sooner than the kernel's word that there is no route.
fn carried(inside: Inside, ports: Option<Ports>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = inside.pass(Family::V6).collect();
    rules.push(Rule::new().to(LINK_LOCAL).accept());
    rules.push(Rule::new().to(MAPPED).drop());
    match ports {
        Some(ports) => rules.extend(to_sockets(Family::V6, ports)),
        None => rules.push(Rule::new().protocol(libc::IPPROTO_TCP as u8).reset()),
    }
    rules
}

//! Members on hosts of their own: each is killed, and the network parts them in every way, while clients that reach all of
//! them write.

use std::time::Instant;

use anyhow::{Result, ensure};
use kube::api::PostParams;
use skiff_tests::{Members, Way, eventually};

use super::{
    failover::LONGEST_GAP,
    writers::{Writers, map, maps, refused, takes_writes},
};
use crate::has;

skiff_tests::cases! {
    plain:
        nothing_acknowledged_is_lost_whoever_is_killed_and_whatever_is_cut;
}

/// What is dropped, of three.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// All between the leader and the others.
    Leader,
    /// What the leader sends.
    LeaderIsNotHeard,
    /// What is sent to the leader.
    LeaderHearsNothing,
    /// All between one follower and the others.
    Follower,
    /// What the leader sends to one follower.
    FollowerHearsNoLeader,
    /// All between the two followers.
    Followers,
}

/// Who is who while nothing is dropped.
struct Roles {
    leader: usize,
    followers: [usize; 2],
}

impl Roles {
    fn of(members: &Members) -> Result<Self> {
        let leader = members.leader(0)?;
        Ok(Self {
            leader,
            followers: [(leader + 1) % 3, (leader + 2) % 3],
        })
    }
}

impl Cut {
    const ALL: [Self; 6] = [
        Self::Follower,
        Self::Followers,
        Self::FollowerHearsNoLeader,
        Self::Leader,
        Self::LeaderIsNotHeard,
        Self::LeaderHearsNothing,
    ];

    fn make(self, members: &Members, roles: &Roles) -> Result<()> {
        let Roles {
            leader,
            followers: [one, other],
        } = *roles;
        let drop = |at: usize, towards: &[usize], way: Way| {
            let mut far = towards.iter();
            far.try_for_each(|far| members.link(at).drop_between(&members.link(*far), way))
        };
        match self {
            Self::Leader => drop(leader, &[one, other], Way::Both),
            Self::LeaderIsNotHeard => drop(leader, &[one, other], Way::Out),
            Self::LeaderHearsNothing => drop(leader, &[one, other], Way::In),
            Self::Follower => drop(one, &[leader, other], Way::Both),
            Self::FollowerHearsNoLeader => drop(one, &[leader], Way::In),
            Self::Followers => drop(one, &[other], Way::Both),
        }
    }

    /// Who has no majority then, where it is worth the seconds until a write is refused.
    fn refuses(self, roles: &Roles) -> Option<usize> {
        match self {
            Self::Leader => Some(roles.leader),
            Self::Follower | Self::FollowerHearsNoLeader => Some(roles.followers[0]),
            Self::LeaderIsNotHeard | Self::LeaderHearsNothing | Self::Followers => None,
        }
    }

    /// Whether the leader still reaches a majority.
    fn leaves_the_leader(self) -> bool {
        matches!(
            self,
            Self::Follower | Self::FollowerHearsNoLeader | Self::Followers
        )
    }
}

fn nothing_acknowledged_is_lost_whoever_is_killed_and_whatever_is_cut() -> Result<()> {
    let members = Members::start_apart(3)?;
    let writers = Writers::start(&members, &[0, 1, 2], "apart")?;
    writers.more(20)?;
    let roles = Roles::of(&members)?;
    for number in [roles.followers[0], roles.followers[1], roles.leader] {
        members.kill(number);
        let gap = writers.gap(Instant::now())?;
        println!("writes again {gap:?} after one of three was killed");
        ensure!(gap < LONGEST_GAP, "writes again after {gap:?}");
        let begun = Instant::now();
        members.launch(number, "")?;
        members.serves(number)?;
        println!("it is there again after {:?}", begun.elapsed());
    }
    for cut in Cut::ALL {
        let roles = Roles::of(&members)?;
        cut.make(&members, &roles)?;
        let begun = Instant::now();
        let gap = writers.gap(begun)?;
        println!("{cut:?}: writes again after {gap:?}");
        ensure!(gap < LONGEST_GAP, "{cut:?}: writes again after {gap:?}");
        if let Some(alone) = cut.refuses(&roles) {
            let took = members.block_on(refused(&members, alone, "no leader"))?;
            println!("{cut:?}: refused {took:?} later by who is alone");
        }
        for number in 0..3 {
            members.link(number).rejoin()?;
        }
        let begun = Instant::now();
        for number in 0..3 {
            members.serves(number)?;
            takes_writes(&members, number)?;
        }
        println!("{cut:?}: all are there again after {:?}", begun.elapsed());
        if cut.leaves_the_leader() {
            let leader = members.leader(roles.leader)?;
            ensure!(leader == roles.leader, "{cut:?} made {leader} the leader");
        }
    }
    let new = a_new_member_gets_its_snapshot_whatever_cuts_it(&members, &writers)?;
    let count = writers.finish(&[0, 1, 2, new])?;
    println!("{count} writes were acknowledged, and are there");
    Ok(())
}

/// The receiver is killed in the middle, then its network is cut; nobody else waits for it.
fn a_new_member_gets_its_snapshot_whatever_cuts_it(
    members: &Members,
    writers: &Writers<'_>,
) -> Result<usize> {
    let leader = members.leader(0)?;
    members.block_on(fill(members, leader))?;
    let new = members.place()?;
    members.link(new).slow_down(48)?;
    let said_before = members.log_of(leader).len();
    let said = || members.log_of(leader)[said_before..].to_owned();
    let broke_off = |times: usize| {
        eventually("a snapshot that breaks off", || {
            let said = said();
            ensure!(
                said.matches("sending a snapshot broke off").count() >= times,
                "{said}"
            );
            Ok(())
        })
    };
    let begun = Instant::now();
    members.launch(new, members.joining(leader)?.as_slice())?;
    eventually("a snapshot on its way", || {
        has(&members.log_of(new), &["taking a snapshot in from the beginning"])
    })?;
    members.kill(new);
    broke_off(1)?;
    let begun_again = members.log_of(new).len();
    let received = || members.log_of(new)[begun_again..].to_owned();
    members.launch(new, members.joining(leader)?.as_slice())?;
    eventually("the snapshot again", || {
        has(&received(), &["taking a snapshot in from the beginning"])
    })?;
    for number in 0..3 {
        members.link(new).part_from(&members.link(number))?;
    }
    let cut = said().matches("sending a snapshot broke off").count();
    broke_off(cut + 1)?;
    members.link(new).rejoin()?;
    members.serves(new)?;
    has(&received(), &["going on with a snapshot"])?;
    let took = begun.elapsed();
    let gap = writers.gap(begun)?;
    println!("a member was taken in after {took:?}; the longest pause of writes was {gap:?}");
    ensure!(gap < LONGEST_GAP, "writes waited {gap:?} for a new member");
    Ok(new)
}

/// Some more MB for the snapshot.
async fn fill(members: &Members, through: usize) -> Result<()> {
    let api = maps(members, through).await?;
    for number in 0..80 {
        let mut map = map(&format!("large-{number}"))?;
        map.data = Some([("k".to_owned(), "x".repeat(100 << 10))].into());
        api.create(&PostParams::default(), &map).await?;
    }
    Ok(())
}

//! The store as a member among others: what the transport and whoever changes the members need.

use skiff_raft::{MemberChange, Members, Progress, eraftpb::Message};
use tokio::sync::watch;

use crate::{Error, Store};

impl Store {
    /// Takes in a message from another member.
    pub fn receive(&self, message: Message) {
        self.group().receive(message);
    }

    /// Tells that a message to a member did not get through.
    pub fn unreachable(&self, member: u64) {
        self.group().unreachable(member);
    }

    /// Tells that the process of a member has ended.
    pub fn ended(&self, member: u64) {
        self.group().ended(member);
    }

    /// Tells how sending a snapshot to a member ended.
    pub fn snapshot_sent(&self, member: u64, arrived: bool) {
        self.group().snapshot_sent(member, arrived);
    }

    /// Changes the members; returns when the change is in force here.
    ///
    /// # Errors
    /// `Unavailable` without quorum, or while another change is under way.
    pub async fn change_members(&self, change: MemberChange) -> Result<(), Error> {
        Ok(self.group().change_members(change).await?)
    }

    /// Asks for leadership to be handed to a member.
    pub fn transfer_leadership(&self, to: u64) {
        self.group().transfer_leadership(to);
    }

    /// Follows who the members are.
    pub fn members(&self) -> watch::Receiver<Members> {
        self.group().members()
    }

    /// How far everybody is; empty on a member that does not lead.
    pub fn progress(&self) -> Vec<Progress> {
        self.group().progress()
    }
}

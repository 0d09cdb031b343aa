//! What agent and supervisor say to each other: one request, one answer, over [`crate::wire`].

use serde::{Deserialize, Serialize};

use super::{Container, ContainerState, Exec};
use crate::error::Failure;

/// Name of the socket in a pod's run directory.
pub(crate) const SOCKET: &str = "supervisor.sock";

/// Name of the state file beside it.
pub(crate) const STATE: &str = "state.json";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Hello,
    /// From now on this connection carries events only.
    Subscribe,
    Create(Box<Container>),
    Start(String),
    /// Create and start in one.
    Run(Box<Container>),
    Kill {
        id: String,
        signal: i32,
        all: bool,
    },
    Remove(String),
    Update {
        id: String,
        resources: serde_json::Value,
    },
    UpdatePod(serde_json::Value),
    List,
    Exec(Box<Exec>),
    KillExec {
        exec: u64,
        signal: i32,
    },
    Attach(String),
    Resize {
        id: String,
        exec: Option<u64>,
        columns: u16,
        rows: u16,
    },
    Stop,
}

/// Who a supervisor is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub pid: u32,
    pub start_time: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Hello(Hello),
    State(ContainerState),
    List(Vec<ContainerState>),
    Exec {
        exec: u64,
        pid: u32,
        streams: StreamKinds,
    },
    Streams(StreamKinds),
    Failed(Failure),
}

/// Which streams the attached descriptors are, in this order.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StreamKinds {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

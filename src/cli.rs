//! The commands and their options.

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use clap::{Args, FromArgMatches as _, Parser, Subcommand};
use skiff_control::{DualRange, Pool};
use skiff_node_agent::EgressWay;

/// A Kubernetes cluster in one binary, for ordinary users: no root, no Docker, no etcd.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Start here:\n  skiff up                                   start a cluster for this user\n  \
                  export KUBECONFIG=$(skiff kubeconfig --path)\n  kubectl get nodes\n  \
                  skiff down --purge                         stop it and remove everything"
)]
pub struct Cli {
    /// Where state is kept [default: $XDG_DATA_HOME/skiff, as root /var/lib/skiff]
    #[arg(long, global = true, env = "SKIFF_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where sockets and what lives as long as the machine is up are kept [default: $XDG_RUNTIME_DIR/skiff, as root /run/skiff]
    #[arg(long, global = true, env = "SKIFF_RUN_DIR", value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Start a cluster on this machine in the background and wait until it is ready
    Up(UpArgs),
    /// Stop the cluster of `skiff up`: pods, networks, mounts, processes
    Down(DownArgs),
    /// Show what runs and how it is
    Status,
    /// Show what the proxies of the nodes do for each service
    Services(ServicesArgs),
    /// Look at this machine: what skiff needs, what is missing, and which commands would help
    Check(CheckArgs),
    /// Run the control plane in the foreground: API server, store, scheduler, controllers
    Server(ServerCommand),
    /// Run the node agent in the foreground
    Agent(AgentArgs),
    /// Print the administrator's kubeconfig
    Kubeconfig(KubeconfigArgs),
    /// Print the token that lets an agent, or a server, join this cluster
    Token(TokenArgs),
    /// Snapshots of everything the cluster knows: save, inspect, restore
    Snapshot(SnapshotArgs),
    /// Images of this node: import, pull, list, remove
    Image(ImageArgs),
    /// The OCI runtime (the command line of runc)
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Oci {
        /// See `skiff oci --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Print a shell completion script
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Keeps server and agent of `skiff up` running
    #[command(hide = true)]
    Monitor(UpArgs),
}

#[derive(Args, Clone)]
pub struct UpArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub node: NodeArgs,
    /// Seconds to wait for the node to be ready
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,
}

impl UpArgs {
    /// Those of a `skiff up` without any option.
    pub fn none_given() -> Result<Self, clap::Error> {
        let matches = Self::augment_args(clap::Command::new("up")).try_get_matches_from(["up"])?;
        Self::from_arg_matches(&matches)
    }
}

#[derive(Args, Clone)]
pub struct DownArgs {
    /// Remove all data too: objects, images, volumes, keys
    #[arg(long)]
    pub purge: bool,
}

#[derive(Args, Clone)]
pub struct ServicesArgs {
    /// Only services with this in NAMESPACE/NAME
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
    /// Their backends too, with the share of connections each got
    #[arg(long)]
    pub backends: bool,
    /// Seconds over which rates are measured
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = seconds)]
    pub interval: f64,
}

#[derive(Args, Clone)]
pub struct CheckArgs {
    /// Port the API server would listen on
    #[arg(long, default_value_t = 6443)]
    pub port: u16,
}

#[derive(Args, Clone)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ServerCommand {
    #[command(subcommand)]
    pub action: Option<ServerAction>,
    #[command(flatten)]
    pub server: ServerArgs,
    /// Server to join as a further member, https://host:port (with --token); not needed again after the first start
    #[arg(long, value_name = "URL", requires = "token")]
    pub join: Option<String>,
    /// Token printed by `skiff token --server` on any member
    #[arg(long, env = "SKIFF_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Go on without the others when most of them are lost for good: shows what this server has, asks, and makes it the
    /// only member
    #[arg(long, conflicts_with = "join")]
    pub recover: bool,
    /// With --recover: do not ask
    #[arg(long, requires = "recover")]
    pub yes: bool,
}

#[derive(Args, Clone)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    pub command: SnapshotCommand,
}

#[derive(Subcommand, Clone)]
pub enum SnapshotCommand {
    /// Save the objects of the cluster to a file: of the running server, else of the data directory
    Save {
        /// File to write
        file: PathBuf,
    },
    /// Check a snapshot and show what is in it
    Inspect {
        /// File to read
        file: PathBuf,
    },
    /// Make the store of a new cluster from a snapshot; the data directory must not have a store
    Restore {
        /// File to read
        file: PathBuf,
    },
}

#[derive(Subcommand, Clone)]
pub enum ServerAction {
    /// List the members: who leads, who is there, how far behind
    #[command(alias = "ls")]
    List,
    /// Take a member out of the group, dead or alive; its certificate is refused from then on
    #[command(alias = "rm")]
    Remove {
        /// Its number in `skiff server list`
        id: u64,
    },
    /// Seal all secrets with a new key
    RotateSecretsKey,
    /// Make a new CA, new keys of service-account tokens and of secrets, and new join tokens; those before stay valid until
    /// --finish
    RotateKeys {
        /// End the validity of the keys before, once members, nodes and pods have the new ones
        #[arg(long)]
        finish: bool,
        /// With --finish: whoever has not got the new keys yet is refused from then on
        #[arg(long, requires = "finish")]
        force: bool,
    },
    /// Refuse the certificate of a node from now on, whatever it runs; it can't join again with the same key
    RevokeNode {
        /// Its name
        node: String,
    },
}

#[derive(Args, Clone)]
pub struct TokenArgs {
    /// For a further server (`skiff server --join`), which gets the keys of the cluster
    #[arg(long)]
    pub server: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsVersion {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

/// How pods reach the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Egress {
    /// The first of the others that works: masquerade (as root), sockets, pasta
    #[default]
    Auto,
    /// Through sockets of the agent
    Sockets,
    /// Masqueraded by the kernel; needs root
    Masquerade,
    /// By the program pasta
    Pasta,
}

impl Egress {
    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Sockets => "sockets",
            Self::Masquerade => "masquerade",
            Self::Pasta => "pasta",
        }
    }

    /// The way, if it is a certain one.
    pub fn way(self) -> Option<EgressWay> {
        match self {
            Self::Auto => None,
            Self::Sockets => Some(EgressWay::Sockets),
            Self::Masquerade => Some(EgressWay::Masquerade),
            Self::Pasta => Some(EgressWay::Pasta),
        }
    }
}

impl TlsVersion {
    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

#[derive(Args, Clone)]
pub struct ServerArgs {
    /// Address of the API server
    #[arg(long, default_value = "0.0.0.0", value_name = "ADDRESS")]
    pub listen: IpAddr,
    /// Port of the API server; 0: any free one
    #[arg(long, default_value_t = 6443)]
    pub port: u16,
    /// Address other machines and pods reach the API server at [default: that of the default route]
    #[arg(long, value_name = "ADDRESS")]
    pub advertise: Option<IpAddr>,
    /// Further names and addresses for the server's certificate
    #[arg(long, value_name = "NAME")]
    pub tls_san: Vec<String>,
    /// Addresses of pods; each node gets a /24 of it, and a /64 of the IPv6 range where one is given [default: 10.244.0.0/16, or
    /// what the cluster has]
    #[arg(long, value_name = "CIDR[,IPV6-CIDR]")]
    pub cluster_cidr: Option<DualRange>,
    /// Addresses of services [default: 10.96.0.0/16, or what the cluster has]
    #[arg(long, value_name = "CIDR[,IPV6-CIDR]")]
    pub service_cidr: Option<DualRange>,
    /// Domain of the cluster's DNS names [default: cluster.local, or what the cluster has]
    #[arg(long, value_name = "DOMAIN")]
    pub cluster_domain: Option<String>,
    /// Addresses for services of type LoadBalancer: ranges, CIDRs, single ones, separated by commas; the same on every server
    /// [default: services have the addresses of the nodes]
    #[arg(long, value_name = "ADDRESSES")]
    pub load_balancer_pool: Option<Pool>,
    /// Oldest TLS that clients may speak
    #[arg(long, value_name = "VERSION", default_value = "1.3")]
    pub tls_min_version: TlsVersion,
    /// Policy (audit.k8s.io/v1) of the audit log
    #[arg(long, value_name = "FILE", requires = "audit_log_path")]
    pub audit_policy_file: Option<PathBuf>,
    /// Audit log; -: standard output
    #[arg(long, value_name = "FILE", requires = "audit_policy_file")]
    pub audit_log_path: Option<PathBuf>,
    /// Megabytes after which a new audit log is begun
    #[arg(long, value_name = "MB", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub audit_log_maxsize: u64,
    /// Old audit logs that stay; 0: all
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub audit_log_maxbackup: usize,
    /// Days that old audit logs stay; 0: for ever
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    pub audit_log_maxage: u64,
}

impl ServerArgs {
    /// The audit log, if there is to be one.
    pub fn audit(&self) -> Option<skiff_control::audit::Config> {
        Some(skiff_control::audit::Config {
            policy: self.audit_policy_file.clone()?,
            path: self.audit_log_path.clone()?,
            rotation: skiff_control::audit::Rotation {
                max_size: self.audit_log_maxsize,
                max_backups: self.audit_log_maxbackup,
                max_age: self.audit_log_maxage,
            },
        })
    }
}

#[derive(Args, Clone, Default)]
pub struct NodeArgs {
    /// Name of this node [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// Address of this node [default: that of the route to the API server]
    #[arg(long, value_name = "ADDRESS")]
    pub node_ip: Option<IpAddr>,
    /// Label of this node, key=value
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub node_label: Vec<(String, String)>,
    /// Address of this machine that node ports listen on [default: all]
    #[arg(long, value_name = "ADDRESS")]
    pub node_port_address: Vec<IpAddr>,
    /// Most pods on this node
    #[arg(long, default_value_t = 250, value_name = "N")]
    pub max_pods: u32,
    /// Port of this machine's loopback that leads to whichever API server lives; 0: any free one [default: the one before, or
    /// one that is free, 6440 first]
    #[arg(long, value_name = "PORT")]
    pub forwarder_port: Option<u16>,
    /// How pods reach the world
    #[arg(long, value_name = "WAY", default_value = "auto")]
    pub egress: Egress,
    /// Registry (host or host:port) that is spoken to without TLS
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// Mirror of a registry, tried before it
    #[arg(long, value_name = "REGISTRY=MIRROR", value_parser = key_value)]
    pub registry_mirror: Vec<(String, String)>,
}

#[derive(Args, Clone)]
pub struct AgentArgs {
    /// API server to join, https://host:port (with --token); not needed again after the first start
    #[arg(long, value_name = "URL", requires = "token")]
    pub join: Option<String>,
    /// Token printed by `skiff token` on the server
    #[arg(long, env = "SKIFF_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    #[command(flatten)]
    pub node: NodeArgs,
    /// Addresses of pods [default: what the server says; anything else is refused]
    #[arg(long, value_name = "CIDR")]
    pub cluster_cidr: Option<DualRange>,
    /// Addresses of services [default: what the server says; anything else is refused]
    #[arg(long, value_name = "CIDR")]
    pub service_cidr: Option<DualRange>,
    /// Domain of the cluster's DNS names [default: what the server says; anything else is refused]
    #[arg(long, value_name = "DOMAIN")]
    pub cluster_domain: Option<String>,
}

#[derive(Args, Clone)]
pub struct KubeconfigArgs {
    /// Print the file's path instead of its content
    #[arg(long)]
    pub path: bool,
    /// For this server, https://host:port [default: the forwarder of the agent on this machine, else a context per server]
    #[arg(long, value_name = "URL", conflicts_with = "path")]
    pub server: Option<String>,
}

#[derive(Args, Clone)]
pub struct ImageArgs {
    #[command(subcommand)]
    pub command: ImageCommand,
    /// Registry (host or host:port) that is spoken to without TLS
    #[arg(long, global = true, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
}

#[derive(Subcommand, Clone)]
pub enum ImageCommand {
    /// Import an OCI layout (folder or tar) or an archive of `docker save`
    Import {
        /// Folder or tar file
        source: PathBuf,
        /// Name to give it instead of those inside
        #[arg(long)]
        name: Option<String>,
    },
    /// Pull an image from a registry
    Pull {
        /// registry/name:tag or registry/name@sha256:…
        reference: String,
    },
    /// List images
    #[command(alias = "ls")]
    List,
    /// Remove a name, and the image when it was its last
    #[command(alias = "rm")]
    Remove {
        /// As shown by `skiff image list`
        reference: String,
    },
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    (0.0..=3600.0)
        .contains(&seconds)
        .then_some(seconds)
        .ok_or_else(|| "from 0 to 3600".to_owned())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}

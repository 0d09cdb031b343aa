//! Serves an empty cluster without nodes or controllers until interrupted, to try clients by hand:
//! `cargo run -p skiff-api --example serve -- KUBECONFIG`.

#[path = "../tests/support/mod.rs"]
mod support;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let path = std::env::args().nth(1).unwrap_or_else(|| "kubeconfig".into());
    let cluster = support::Cluster::start().await?;
    cluster.write_kubeconfig(path.as_ref())?;
    println!("export KUBECONFIG={path}");
    tokio::signal::ctrl_c().await?;
    cluster.stop().await;
    Ok(())
}

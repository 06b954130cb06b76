//! An unmodified detritus-client 0.1.0 at work, one step a command, so that the same steps can be taken against two
//! receivers and the outcomes compared:
//!
//!   logs <endpoint> <token> <install-id> <queue-dir>   exports tracing events of every level and field type
//!   panic <install-id> <spool-dir> <context-file>      panics under the client's hook, which spools the crash
//!   ship <endpoint> <token> <spool-dir>                ships what is spooled; prints how many

use std::{env, error::Error, path::PathBuf, time::Duration};

use detritus::{
    install_panic_hook, ship_pending_crashes, BuildInfo, Layer, PanicHookConfig, PanicKind, SourceId,
};
use secrecy::SecretString;
use tracing_subscriber::{layer::SubscriberExt, Registry};
use uuid::Uuid;

type Outcome = Result<(), Box<dyn Error>>;

fn source(install_id: &str) -> Result<SourceId, uuid::Error> {
    Ok(SourceId {
        project: "acme".to_owned(),
        platform: "linux".to_owned(),
        version: "1.4.2".to_owned(),
        install_id: Uuid::parse_str(install_id)?,
    })
}

async fn logs(endpoint: &str, token: &str, install_id: &str, queue: &str) -> Outcome {
    let layer = Layer::builder()
        .endpoint(endpoint.parse()?)
        .token(SecretString::from(token.to_owned()))
        .source(source(install_id)?)
        .queue_dir(PathBuf::from(queue))
        .batch_size(4)
        .flush_interval(Duration::from_secs(3600))
        .flush_timeout(Duration::from_secs(30))
        .build()?;
    tracing::subscriber::with_default(Registry::default().with(layer.clone()), || {
        tracing::error!(code = 7_u64, "disk is full");
        tracing::warn!(delta = -3_i64, retry = true, "slow answer");
        tracing::info!(path = "C:\\logs\\\"a\"", "line\nbreak, tab\t, bell\u{7}, snowman \u{2603}, face \u{1F600}");
        tracing::debug!(point = ?(1, "two"), empty = "", "");
        tracing::trace!("fine");
        tracing::info!(answer = 42_u64);
    });
    layer.flush().await?;
    Ok(())
}

fn panic(install_id: &str, spool: &str, context_file: &str) -> Outcome {
    install_panic_hook(PanicHookConfig {
        endpoint: "http://127.0.0.1:1".parse()?,
        token: SecretString::from("unused"),
        source: source(install_id)?,
        spool_dir: PathBuf::from(spool),
        kind: PanicKind::PanicTarball,
        build: BuildInfo {
            git_sha: "0123abcd".to_owned(),
            profile: "release".to_owned(),
            target_triple: "x86_64-unknown-linux-gnu".to_owned(),
        },
        context: serde_json::json!({
            "tick": 42, "seed": u64::MAX, "ratio": 0.1, "events": ["spawn", null, true], "text": "\u{2603}"
        }),
        context_files: vec![PathBuf::from(context_file)],
        sent_retention_days: 90,
    })?;
    match std::thread::spawn(|| panic!("the interop panic")).join() {
        Err(_) => Ok(()),
        Ok(()) => Err("the thread did not panic".into()),
    }
}

async fn ship(endpoint: &str, token: &str, spool: &str) -> Outcome {
    let token = SecretString::from(token.to_owned());
    println!("{}", ship_pending_crashes(spool, endpoint.parse()?, token).await?);
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["logs", endpoint, token, install_id, queue] => logs(endpoint, token, install_id, queue).await,
        ["panic", install_id, spool, context_file] => panic(install_id, spool, context_file),
        ["ship", endpoint, token, spool] => ship(endpoint, token, spool).await,
        _ => Err("usage: logs|panic|ship …".into()),
    }
}

//! `carrara`, the users' tool: see the library beside it.

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    carrara_cli::main().await
}

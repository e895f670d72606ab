//! Compiles the Marble API's protocol; no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "../../host/types/proto/marble.proto";
    println!("cargo:rerun-if-changed={PROTO}");
    let descriptors = protox::compile([PROTO], ["../../host/types/proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        // Parameters hold secrets: no derived Debug may print them.
        .skip_debug(["rpc.ActivationResp", "rpc.Parameters"])
        .compile_fds(descriptors)?;
    Ok(())
}

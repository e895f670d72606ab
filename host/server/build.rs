//! Compiles the Marble API's description to Rust, without protoc.

use std::error::Error;

const PROTO: &str = "../types/proto/marble.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile([PROTO], ["../types/proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .bytes(".")
        .btree_map(".")
        // Answers carry secrets: they must not be printable.
        .skip_debug(["rpc.ActivationResp", "rpc.Parameters"])
        .compile_fds(descriptors)?;
    Ok(())
}

//! The published shapes of Occlum 0.31's files: what `occlum build` (tools/gen_internal_conf) reads of Occlum.json, and `copy_bom` of
//! its list. Fields that they do not know are errors here, since Occlum would ignore them.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcclumJson {
    pub resource_limits: ResourceLimits,
    pub process: Process,
    pub entry_points: Vec<String>,
    pub env: Environment,
    pub metadata: Metadata,
    #[allow(dead_code)]
    feature: Feature,
    pub mount: Vec<Mount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct ResourceLimits {
    init_num_of_threads: Option<u32>,
    pub max_num_of_threads: u32,
    kernel_space_heap_size: String,
    kernel_space_heap_max_size: Option<String>,
    kernel_space_stack_size: String,
    pub user_space_size: String,
    user_space_max_size: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct Process {
    pub default_stack_size: String,
    pub default_heap_size: String,
    pub default_mmap_size: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    pub default: Vec<String>,
    pub untrusted: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct Metadata {
    pub product_id: u32,
    pub version_number: u32,
    pub debuggable: bool,
    pub disable_log: Option<bool>,
    enable_kss: bool,
    family_id: Id,
    ext_prod_id: Id,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Id {
    high: String,
    low: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Feature {
    amx: u32,
    pkru: u32,
    io_uring: u32,
    enable_edmm: bool,
    enable_posix_shm: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct Mount {
    #[serde(rename = "type")]
    pub type_: String,
    pub target: String,
    source: Option<String>,
    pub options: Option<MountOptions>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct MountOptions {
    #[serde(rename = "MAC")]
    pub mac: Option<String>,
    pub layers: Option<Vec<Mount>>,
    temporary: Option<bool>,
}

/// The list of files that are copied in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bom {
    pub includes: Vec<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Target {
    target: String,
    #[serde(default)]
    mkdirs: Vec<String>,
    #[serde(default)]
    copy: Vec<Copied>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    #[serde(default)]
    dirs: Vec<String>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Name(String),
    Entry(Entry),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Entry {
    name: String,
    autodep: Option<bool>,
}

impl Bom {
    /// Where to, and from where; folders as well.
    pub fn files(&self) -> Vec<(String, String)> {
        let name = |file: &File| match file {
            File::Name(name) | File::Entry(Entry { name, .. }) => name.clone(),
        };
        let of = |copied: &Copied| {
            copied.files.iter().map(name).chain(copied.dirs.iter().cloned()).collect::<Vec<_>>()
        };
        let to = |target: &Target| {
            let files = target.copy.iter().flat_map(of);
            files.map(|file| (target.target.clone(), file)).collect::<Vec<_>>()
        };
        self.targets.iter().flat_map(to).collect()
    }
}

/// `512MB`, `1GB`: in MiB.
pub fn mebibytes(size: &str) -> u64 {
    let (number, factor) = match size.strip_suffix("GB") {
        Some(number) => (number, 1024),
        None => (size.strip_suffix("MB").unwrap(), 1),
    };
    number.parse::<u64>().unwrap() * factor
}

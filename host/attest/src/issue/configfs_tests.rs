//! configfs-tsm as the kernel behaves, in memory, and real files that play it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;

type Answer = dyn Fn(&[u8; 64]) -> (Vec<u8>, Option<Vec<u8>>) + Send + Sync;

/// How often an entry was written, and what last.
type Written = (u64, Option<[u8; 64]>);

/// Entries with the kernel's semantics: attributes appear with the entry, each write counts, and there is no report before
/// one.
pub(in crate::issue) struct Kernel {
    provider: &'static str,
    floor: Option<u32>,
    answer: Box<Answer>,
    entries: Mutex<BTreeMap<String, Written>>,
    interferes: bool,
}

impl Kernel {
    pub(in crate::issue) fn new(
        provider: &'static str,
        answer: impl Fn(&[u8; 64]) -> (Vec<u8>, Option<Vec<u8>>) + Send + Sync + 'static,
    ) -> Self {
        let entries = Mutex::default();
        Self { provider, floor: None, answer: Box::new(answer), entries, interferes: false }
    }

    pub(in crate::issue) fn with_floor(self, floor: Option<u32>) -> Self {
        Self { floor, ..self }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kernel")
    }
}

fn missing() -> io::Error {
    io::Error::from(ErrorKind::NotFound)
}

impl Entries for Kernel {
    fn root(&self) -> &Path {
        Path::new("/")
    }

    fn make(&self, name: &str) -> io::Result<()> {
        let mut entries = self.entries.lock().unwrap();
        if entries.insert(name.to_owned(), (0, None)).is_some() {
            return Err(io::Error::from(ErrorKind::AlreadyExists));
        }
        Ok(())
    }

    fn write(&self, name: &str, attribute: &str, value: &[u8]) -> io::Result<()> {
        assert_eq!(attribute, "inblob");
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.get_mut(name).ok_or_else(missing)?;
        *entry = (entry.0 + 1, Some(value.try_into().unwrap()));
        Ok(())
    }

    fn read(&self, name: &str, attribute: &str, limit: usize) -> io::Result<Vec<u8>> {
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.get_mut(name).ok_or_else(missing)?;
        let answer = entry.1.as_ref().map(|data| (self.answer)(data));
        let unwritten = || io::Error::from(ErrorKind::InvalidInput);
        let value = match attribute {
            "provider" => format!("{}\n", self.provider).into_bytes(),
            "generation" => format!("{}\n", entry.0).into_bytes(),
            "privlevel_floor" => format!("{}\n", self.floor.ok_or_else(missing)?).into_bytes(),
            "outblob" => answer.ok_or_else(unwritten)?.0,
            "auxblob" => answer.ok_or_else(unwritten)?.1.ok_or_else(missing)?,
            other => panic!("{other}"),
        };
        if self.interferes && attribute == "outblob" {
            entry.0 += 1;
        }
        Ok(value.into_iter().take(limit + 1).collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.entries.lock().unwrap().remove(name).map(drop).ok_or_else(missing)
    }
}

fn echo() -> Kernel {
    Kernel::new("tdx_guest", |data| (data.to_vec(), None))
}

#[test]
fn a_report_is_over_what_was_written_and_its_entry_is_removed() {
    let kernel = echo();
    let expected = Report { outblob: vec![7; 64], auxblob: Vec::new() };
    assert_eq!(report(&kernel, &[7; 64]).unwrap(), expected);
    assert!(kernel.entries.lock().unwrap().is_empty());
}

#[test]
fn whoever_writes_to_our_entry_meanwhile_is_noticed() {
    let kernel = Kernel { interferes: true, ..echo() };
    let error = report(&kernel, &[7; 64]).unwrap_err();
    assert!(matches!(error, IssueError::Interference), "{error}");
    assert!(kernel.entries.lock().unwrap().is_empty());
}

#[test]
fn the_lowest_privilege_level_is_what_the_driver_says() {
    let kernel = echo();
    assert!(privilege_floor(&kernel).unwrap().is_none());
    assert_eq!(privilege_floor(&kernel.with_floor(Some(1))).unwrap(), Some(1));
}

/// A driver that lets nobody make an entry.
#[derive(Debug)]
struct Refusing(i32);

impl Entries for Refusing {
    fn root(&self) -> &Path {
        Path::new("/")
    }

    fn make(&self, _: &str) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(self.0))
    }

    fn write(&self, _: &str, _: &str, _: &[u8]) -> io::Result<()> {
        Err(missing())
    }

    fn read(&self, _: &str, _: &str, _: usize) -> io::Result<Vec<u8>> {
        Err(missing())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(missing())
    }
}

//
#[test]
fn a_kernel_without_the_interface_has_no_driver() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(provider(&Folder(folder.path().join("report"))), Ok(None));
    std::fs::write(folder.path().join("file"), "").unwrap();
    let odd = provider(&Folder(folder.path().join("file"))).unwrap_err();
    assert!(matches!(&odd, OpenError::Reports(cause) if cause.contains("file")), "{odd}");
}

//
#[test]
fn only_where_there_is_no_driver_it_is_looked_for_something_else() {
    use rustix::io::Errno;
    let refused = |errno: Errno| provider(&Refusing(errno.raw_os_error()));
    assert_eq!(refused(Errno::NXIO), Ok(None));
    for errno in [Errno::ACCESS, Errno::PERM] {
        let error = refused(errno).unwrap_err();
        assert_eq!(error, OpenError::ReportsDenied);
        assert!(error.to_string().contains("run as root, or let root give the folder"), "{error}");
    }
    for (errno, words) in [(Errno::IO, "Input/output error"), (Errno::ROFS, "Read-only file system")] {
        let text = refused(errno).unwrap_err().to_string();
        let start = "configfs-tsm was found, but not which TEE is behind it: making /carrara-";
        assert!(text.starts_with(start) && text.contains(words) && text.contains("mount configfs"), "{text}");
    }
    assert_eq!(provider(&echo()), Ok(Some("tdx_guest".to_owned())));
}

#[test]
fn a_report_beyond_all_bounds_is_refused() {
    let sized = |bytes: usize| Kernel::new("tdx_guest", move |_| (vec![0; bytes], None));
    assert!(report(&sized(MAX_BLOB_BYTES), &[0; 64]).is_ok());
    let error = report(&sized(MAX_BLOB_BYTES + 1), &[0; 64]).unwrap_err();
    assert!(matches!(error, IssueError::Length { .. }), "{error}");
}

/// Real files: whoever makes a folder finds the attributes in it, as under configfs.
#[derive(Debug)]
struct Files {
    folder: Folder,
    provider: &'static str,
}

impl Entries for Files {
    fn root(&self) -> &Path {
        self.folder.root()
    }

    fn make(&self, name: &str) -> io::Result<()> {
        self.folder.make(name)?;
        let attributes = [("generation", "0\n"), ("inblob", ""), ("provider", self.provider)];
        for (attribute, value) in attributes {
            std::fs::write(self.root().join(name).join(attribute), value)?;
        }
        Ok(())
    }

    fn write(&self, name: &str, attribute: &str, value: &[u8]) -> io::Result<()> {
        self.folder.write(name, attribute, value)?;
        let entry = self.root().join(name);
        assert_eq!(std::fs::read(entry.join("inblob")).unwrap(), value);
        std::fs::write(entry.join("outblob"), [b"report over ", value].concat())?;
        std::fs::write(entry.join("auxblob"), b"table")?;
        std::fs::write(entry.join("generation"), "1\n")
    }

    fn read(&self, name: &str, attribute: &str, limit: usize) -> io::Result<Vec<u8>> {
        self.folder.read(name, attribute, limit)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        for attribute in std::fs::read_dir(self.root().join(name))? {
            std::fs::remove_file(attribute?.path())?;
        }
        self.folder.remove(name)
    }
}

#[test]
fn real_files_are_made_written_read_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let files = Files { folder: Folder::new(root.path()), provider: "sev_guest\n" };
    assert_eq!(provider(&files).unwrap().as_deref(), Some("sev_guest"));
    let expected = Report { outblob: [&b"report over "[..], &[7; 64]].concat(), auxblob: b"table".to_vec() };
    assert_eq!(report(&files, &[7; 64]).unwrap(), expected);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_name_that_is_taken_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let files = Files { folder: Folder::new(root.path()), provider: "tdx_guest\n" };
    let first = Entry::make(&files).unwrap();
    let number: u64 = first.name.rsplit_once('-').unwrap().1.parse().unwrap();
    let mut taken = Vec::new();
    for number in number + 1..number + 20 {
        let name = format!("carrara-{}-{number}", std::process::id());
        if std::fs::create_dir(root.path().join(&name)).is_ok() {
            taken.push(name);
        }
    }
    assert!(report(&files, &[7; 64]).is_ok());
    for name in taken {
        assert!(root.path().join(name).exists());
    }
}

#[test]
fn without_configfs_or_a_driver_there_is_no_provider() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(provider(&Folder::new(&root.path().join("missing"))), Ok(None));
    // Of a driver's absence: the entry has no attributes.
    assert_eq!(provider(&Folder::new(root.path())), Ok(None));
    let error = report(&Folder::new(root.path()), &[0; 64]).unwrap_err().chain();
    assert!(error.contains("generation"), "{error}");
}

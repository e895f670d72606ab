//! A file that is read and never written: what is written to it stays in memory, block by block.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::redb::StorageBackend;

/// redb's pages are of this size, so that most writes are of whole blocks.
const BLOCK: u64 = 4096;

/// What redb sees as its file.
#[derive(Debug)]
pub(super) struct Layer {
    file: File,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    length: u64,
    /// What the file has to say ends here: it was cut off above.
    file_length: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Layer {
    pub(super) fn over(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let written = Mutex::new(Written { length, file_length: length, blocks: BTreeMap::new() });
        Ok(Self { file, written })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written().length == 0
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    /// A block as it is now; zeros where there is nothing.
    fn block(&self, file: &File, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = self.blocks.get(&number) {
            return Ok(block.clone());
        }
        let start = number * BLOCK;
        let there = self.file_length.saturating_sub(start).min(BLOCK);
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
        if let Some(part) = block.get_mut(..usize::try_from(there).unwrap_or_default()) {
            file.read_exact_at(part, start)?;
        }
        Ok(block)
    }
}

/// The blocks that a range touches: number, where in the block it begins, where in the range, and how many bytes.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let position = offset + done as u64;
        let within = usize::try_from(position % BLOCK).ok()?;
        let count = (length - done).min(usize::try_from(BLOCK).ok()? - within);
        let part = (position / BLOCK, within, done, count);
        done += count;
        (count > 0).then_some(part)
    })
}

fn past_the_end() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl StorageBackend for Layer {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.length) {
            return Err(past_the_end());
        }
        for (number, within, begin, count) in parts(offset, out.len()) {
            let block = written.block(&self.file, number)?;
            let target = out.get_mut(begin..begin + count).ok_or_else(past_the_end)?;
            target.copy_from_slice(block.get(within..within + count).ok_or_else(past_the_end)?);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written();
        if length < written.length {
            let last = length / BLOCK;
            let mut kept = written.block(&self.file, last)?;
            let end = usize::try_from(length % BLOCK).unwrap_or_default();
            kept.get_mut(end..).ok_or_else(past_the_end)?.fill(0);
            written.blocks.retain(|number, _| *number < last);
            written.blocks.insert(last, kept);
            written.file_length = written.file_length.min(length);
        }
        written.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        for (number, within, begin, count) in parts(offset, data.len()) {
            let mut block = written.block(&self.file, number)?;
            let source = data.get(begin..begin + count).ok_or_else(past_the_end)?;
            block.get_mut(within..within + count).ok_or_else(past_the_end)?.copy_from_slice(source);
            written.blocks.insert(number, block);
        }
        written.length = written.length.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// What is done to a file.
    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        Length(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..20_000, prop::collection::vec(any::<u8>(), 1..9_000))
                .prop_map(|(offset, data)| Step::Write(offset, data)),
            (0_u64..30_000).prop_map(Step::Length),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_layer_reads_as_a_file_would_and_the_file_below_stays_as_it_is(steps in prop::collection::vec(step(), 0..12)) {
            let below: Vec<u8> = (0..10_000_u32).map(|index| index as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&below).unwrap();
            let layer = Layer::over(file.try_clone().unwrap()).unwrap();
            let mut model = below.clone();
            for step in steps {
                match step {
                    Step::Write(offset, data) => {
                        layer.write(offset, &data).unwrap();
                        let end = offset as usize + data.len();
                        model.resize(model.len().max(end), 0);
                        model[offset as usize..end].copy_from_slice(&data);
                    }
                    Step::Length(length) => {
                        layer.set_len(length).unwrap();
                        model.resize(length as usize, 0);
                    }
                }
                let mut read = vec![1; model.len()];
                prop_assert_eq!(layer.len().unwrap(), model.len() as u64);
                layer.read(0, &mut read).unwrap();
                prop_assert_eq!(&read, &model);
                prop_assert!(layer.read(model.len() as u64, &mut [0]).is_err());
            }
            let mut read = vec![0; below.len()];
            file.read_exact_at(&mut read, 0).unwrap();
            prop_assert_eq!((read, file.metadata().unwrap().len()), (below, 10_000));
        }
    }
}

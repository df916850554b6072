//! The cold directory: where it is, whose it is, and whether it is there. It is looked at anew each time one of its files
//! is opened, and nothing of it is kept open but files: so it may come and go, and nothing has to be opened again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{Open, Volume, read_all};
use crate::format::{FORMAT_VERSION, Tier, names};
use crate::segment::Site;

use super::identity::{parse_uuid, uuid_text, write_whole};
use super::open::check_medium;

/// Largest file that is looked at.
const FILE_BYTES_MAX: usize = 64 << 10;
const FORMAT_NAME: &str = "tensoratom-cold";

/// Where segments are: in the store, and in its cold directory if it has one.
#[derive(Debug)]
pub(crate) struct Sites {
    store: Arc<dyn Volume>,
    uuid: [u8; 16],
    cold: Config,
}

/// What `cold.json` says.
#[derive(Debug)]
enum Config {
    /// There is none: cold copies lie in the store's own directory.
    None,
    At(ColdPlace),
    /// It makes no sense, in these words.
    Unreadable(String),
}

/// The directory that belongs to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColdPlace {
    /// Absolute, or relative to the store.
    pub(super) path: PathBuf,
    /// Drawn when the directory was taken into use, and repeated in it: another one is no substitute.
    pub(super) id: [u8; 16],
    /// The directory used before, which is yet to be emptied.
    pub(super) leaving: Option<PathBuf>,
}

impl Sites {
    /// Learns where the cold directory is; whether it is there, is asked later. `needs_cold` tells whether the store has
    /// segments there, whatever its files say.
    pub(crate) fn read(
        store: &Arc<dyn Volume>,
        uuid: [u8; 16],
        needs_cold: impl FnOnce() -> Result<bool>,
    ) -> Result<Self> {
        let cold = match ColdPlace::read(&**store, uuid) {
            Ok(None) if needs_cold()? => Config::Unreadable(format!("{} is missing", names::COLD)),
            Ok(None) => Config::None,
            Ok(Some(place)) => Config::At(place),
            Err(e) if e.kind() == ErrorKind::ColdUnavailable => Config::Unreadable(e.what().to_owned()),
            Err(e) => return Err(e),
        };
        Ok(Sites { store: Arc::clone(store), uuid, cold })
    }

    /// The store's own directory.
    pub(crate) fn warm(&self) -> Site {
        Site::warm(&self.store)
    }

    /// Where the segments of a tier are. Fails with `ColdUnavailable` while the cold directory is away.
    pub(crate) fn of(&self, tier: Tier) -> Result<Site> {
        if tier < Tier::Cold { Ok(self.warm()) } else { Ok(Site::cold(&self.store, self.cold()?)) }
    }

    /// The tier of the segments that copies of a tier go to.
    pub(crate) fn tier_for(&self, tier: Tier) -> Tier {
        if tier == Tier::Cold && !matches!(self.cold, Config::None) { Tier::Cold } else { Tier::Warm }
    }

    /// Every directory of segments that can be reached, and why the cold one cannot.
    pub(crate) fn reachable(&self) -> (Vec<Site>, Option<Error>) {
        if matches!(self.cold, Config::None) {
            return (vec![self.warm()], None);
        }
        match self.of(Tier::Cold) {
            Ok(cold) => (vec![self.warm(), cold], None),
            Err(error) => (vec![self.warm()], Some(error)),
        }
    }

    /// The cold directory as it was given; none if the store has none, or if nobody can tell any more.
    pub(crate) fn cold_path(&self) -> Option<&Path> {
        match &self.cold {
            Config::At(place) => Some(&place.path),
            Config::None | Config::Unreadable(_) => None,
        }
    }

    /// Whether the store has a cold directory, even if nobody can tell where.
    pub(crate) fn has_cold(&self) -> bool {
        !matches!(self.cold, Config::None)
    }

    /// Adds the path of the cold directory to an error that is about it.
    pub(super) fn explain(&self, error: Error) -> Error {
        match self.cold_path() {
            Some(path) if error.kind() == ErrorKind::ColdUnavailable => error.at_path(path),
            _ => error,
        }
    }

    /// Fails with `InvalidArgument` unless this is the directory in use, by whatever path.
    pub(super) fn check_is(&self, path: &Path) -> Result<()> {
        let same = match &self.cold {
            Config::At(place) if place.path == path => true,
            Config::At(place) => {
                ColdPlace { path: path.to_owned(), ..place.clone() }.attach(&*self.store, self.uuid).is_ok()
            }
            Config::None | Config::Unreadable(_) => false,
        };
        if same {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidArgument, "the store has another cold directory, or none")
            .at_path(path)
            .hint("leave the option out, or change the directory: `tensoratom tier STORE --cold DIRECTORY`"))
    }

    /// The cold directory, if it is there and this store's.
    pub(crate) fn cold(&self) -> Result<Arc<dyn Volume>> {
        match &self.cold {
            Config::At(place) => place.attach(&*self.store, self.uuid),
            Config::None => {
                Err(Error::cold_unavailable("nothing says where the store's cold directory is").hint(NAME_IT))
            }
            Config::Unreadable(what) => Err(Error::cold_unavailable(what.clone()).hint(NAME_IT)),
        }
    }
}

/// Advice for a store that lost its `cold.json`.
const NAME_IT: &str = "name the directory again: `tensoratom tier STORE --cold DIRECTORY`";

/// `cold.json` in a store, and the mark in its cold directory, which has no path.
#[derive(Serialize, Deserialize)]
struct ColdFile {
    format: String,
    version: u32,
    store: String,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaving: Option<String>,
    crc32: String,
}

/// What a [`ColdFile`] says, and whose it is.
struct Content {
    store: [u8; 16],
    id: [u8; 16],
    path: Option<String>,
    leaving: Option<String>,
}

impl ColdFile {
    fn new(store: [u8; 16], id: [u8; 16], path: Option<String>, leaving: Option<String>) -> Self {
        let (format, version) = (FORMAT_NAME.to_owned(), FORMAT_VERSION);
        let (store, id, crc32) = (uuid_text(&store), uuid_text(&id), String::new());
        let mut file = ColdFile { format, version, store, id, path, leaving, crc32 };
        file.crc32 = file.checksum();
        file
    }

    fn checksum(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (path, leaving) = (text(&self.path), text(&self.leaving));
        let all = format!("{} {} {} {} {path} {leaving}", self.format, self.version, self.store, self.id);
        format!("{:08x}", crc32fast::hash(all.as_bytes()))
    }

    fn write(&self, volume: &dyn Volume, temporary: &str, name: &str) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(|e| Error::internal(e.to_string()))?;
        text.push('\n');
        write_whole(volume, temporary, name, text.as_bytes()).doing("saying where cold segments are")
    }

    /// Reads and checks one; `None` when there is none. What makes no sense is `ColdUnavailable`.
    fn read(volume: &dyn Volume, name: &'static str) -> Result<Option<Content>> {
        let file = match volume.open(name, Open::Read) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.doing("opening what says where cold segments are")?,
        };
        let bytes = match read_all(&*file, FILE_BYTES_MAX) {
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Vec::new(),
            other => other.doing("reading what says where cold segments are")?,
        };
        Self::parse(&bytes, name).map(Some)
    }

    fn parse(bytes: &[u8], name: &str) -> Result<Content> {
        let damaged = |what: &str| Error::cold_unavailable(format!("{name} {what}")).hint(NAME_IT);
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| damaged("is not JSON"))?;
        if value.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT_NAME) {
            return Err(damaged("does not describe a cold directory"));
        }
        if value.get("version").and_then(serde_json::Value::as_u64) > Some(u64::from(FORMAT_VERSION)) {
            return Err(Error::new(ErrorKind::NewerFormat, "the cold directory has a newer format")
                .hint("open the store with a newer version of this library"));
        }
        let file: ColdFile = serde_json::from_value(value).map_err(|_| damaged("lacks a field"))?;
        if file.crc32 != file.checksum() {
            return Err(damaged("differs from its checksum"));
        }
        let ids = parse_uuid(&file.store).zip(parse_uuid(&file.id));
        let (store, id) = ids.ok_or_else(|| damaged("has no valid id"))?;
        Ok(Content { store, id, path: file.path, leaving: file.leaving })
    }
}

impl ColdPlace {
    /// What the store says about its cold directory; `None` if it has none.
    pub(super) fn read(store: &dyn Volume, uuid: [u8; 16]) -> Result<Option<Self>> {
        let Some(content) = ColdFile::read(store, names::COLD)? else { return Ok(None) };
        let damaged = |what| Error::cold_unavailable(what).hint(NAME_IT);
        if content.store != uuid {
            return Err(damaged("cold.json is another store's"));
        }
        let path = content.path.ok_or_else(|| damaged("cold.json names no directory"))?;
        let leaving = content.leaving.map(PathBuf::from);
        Ok(Some(ColdPlace { path: PathBuf::from(path), id: content.id, leaving }))
    }

    /// A place that no store has used yet.
    pub(super) fn draw(store: &dyn Volume, path: &Path) -> Result<Self> {
        let mut id = [0; 16];
        store.random(&mut id).doing("drawing an id")?;
        Ok(ColdPlace { path: path.to_owned(), id, leaving: None })
    }

    /// Says in the store where the directory is, complete and durable, or not at all.
    pub(super) fn write(&self, store: &dyn Volume, uuid: [u8; 16]) -> Result<()> {
        let text = |path: &Path| {
            let not_text = || Error::new(ErrorKind::InvalidArgument, "the path of the cold directory is not UTF-8");
            path.to_str().map(str::to_owned).ok_or_else(not_text)
        };
        let leaving = self.leaving.as_deref().map(text).transpose()?;
        ColdFile::new(uuid, self.id, Some(text(&self.path)?), leaving).write(store, names::COLD_TEMPORARY, names::COLD)
    }

    /// Says in the directory whose it is, complete and durable, or not at all.
    pub(super) fn mark(&self, cold: &dyn Volume, uuid: [u8; 16]) -> Result<()> {
        ColdFile::new(uuid, self.id, None, None).write(cold, names::COLD_MARK_TEMPORARY, names::COLD_MARK)
    }

    /// The directory, if it is there and the right one.
    pub(super) fn attach(&self, store: &dyn Volume, uuid: [u8; 16]) -> Result<Arc<dyn Volume>> {
        self.attach_inner(store, uuid).map_err(|e| e.at_path(&self.path))
    }

    fn attach_inner(&self, store: &dyn Volume, uuid: [u8; 16]) -> Result<Arc<dyn Volume>> {
        let cold = store.open_dir(&self.path, false).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::cold_unavailable("the cold directory is not there"),
            _ => Error::cold_unavailable("the cold directory cannot be opened").source_box(e.into()),
        })?;
        let wrong = match read_mark(&*cold)? {
            Some((store, _)) if store != uuid => "the cold directory is another store's",
            Some((_, id)) if id != self.id => {
                "the cold directory is not the one in use, but an older one of this store"
            }
            Some(_) => return Ok(cold),
            None => "the cold directory lacks its mark: its disk is not mounted, or it was emptied",
        };
        Err(Error::cold_unavailable(wrong))
    }
}

/// Gives a store that is being created its cold directory.
pub(super) fn take_into_use(store: &Arc<dyn Volume>, uuid: [u8; 16], path: &Path) -> Result<()> {
    let take = || {
        // A creation that died half-way has left its mark: the same id tells that nobody else did.
        let before = ColdFile::read(&**store, names::COLD).ok().flatten().map(|content| content.id);
        let mut place = ColdPlace::draw(&**store, path)?;
        place.id = before.unwrap_or(place.id);
        let cold = open_new(store, path)?;
        match read_mark(&*cold)? {
            Some((_, id)) if Some(id) != before => return Err(taken()),
            _ => check_empty(&*cold)?,
        }
        // In this order: a mark without its `cold.json` would be taken for another store's.
        place.write(&**store, uuid)?;
        place.mark(&*cold, uuid)
    };
    take().map_err(|e: Error| e.at_path(path))
}

/// A directory that is to become the cold one; made if it is missing.
pub(super) fn open_new(store: &Arc<dyn Volume>, path: &Path) -> Result<Arc<dyn Volume>> {
    let cold = store.open_dir(path, true).doing("opening the cold directory")?;
    check_medium(&*cold, false)?;
    let segments = store.open_dir(Path::new(names::SEGMENTS), false).doing("opening the segment directory")?;
    if [store.identity(), segments.identity()].contains(&cold.identity()) {
        return Err(Error::invalid_argument("the cold directory is one of the store's own"));
    }
    Ok(cold)
}

/// Refuses a directory with other people's files.
pub(super) fn check_empty(cold: &dyn Volume) -> Result<()> {
    let ours = |name: &str| [names::COLD_MARK, names::COLD_MARK_TEMPORARY, "lost+found"].contains(&name);
    let entries = cold.list("").doing("listing the cold directory")?;
    if entries.iter().all(|entry| ours(&entry.name)) {
        return Ok(());
    }
    Err(Error::invalid_argument("the directory holds other files; a cold directory begins as an empty one"))
}

/// The error for a directory that belongs to another store.
pub(super) fn taken() -> Error {
    Error::new(ErrorKind::AlreadyExists, "the directory is the cold directory of another store")
        .hint("name an empty directory; every store has one of its own")
}

/// The store that uses a directory for cold segments, and the id of that use; `None` if none does.
pub(super) fn read_mark(cold: &dyn Volume) -> Result<Option<([u8; 16], [u8; 16])>> {
    match ColdFile::read(cold, names::COLD_MARK) {
        Err(e) if e.kind() == ErrorKind::Io => {
            Err(Error::cold_unavailable("the cold directory cannot be read").source_of(e))
        }
        mark => Ok(mark?.map(|content| (content.store, content.id))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SimDisk;

    // A mark that reads otherwise after a flipped bit would let another disk pass for this store's.
    #[test]
    fn what_is_written_is_read_and_every_flipped_bit_is_noticed() {
        let volume: Arc<dyn Volume> = SimDisk::new().process();
        let place =
            ColdPlace { leaving: Some("/old".into()), ..ColdPlace::draw(&*volume, Path::new("/cold")).unwrap() };
        place.write(&*volume, [7; 16]).unwrap();
        assert_eq!(ColdPlace::read(&*volume, [7; 16]).unwrap(), Some(place));
        assert_eq!(ColdPlace::read(&*volume, [8; 16]).unwrap_err().kind(), ErrorKind::ColdUnavailable);
        let good = read_all(&*volume.open(names::COLD, Open::Read).unwrap(), 1 << 16).unwrap();
        let says = |bytes: &[u8]| ColdFile::parse(bytes, names::COLD).map(|c| (c.store, c.id, c.path, c.leaving));
        for bit in 0..good.len() * 8 {
            let mut damaged = good.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // White space may change without changing what the file says; nothing else may.
            if let Ok(read) = says(&damaged) {
                assert_eq!(read, says(&good).unwrap(), "bit {bit}");
            }
        }
    }
}

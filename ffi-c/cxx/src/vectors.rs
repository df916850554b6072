//! Vector sets and search, as C++ calls them.

use tensoratom::kernels::{Metric, Rows};
use tensoratom::{
    CompactOptions, Companions, Control, Error, Neighbor, Result, SearchOptions, VectorSet, VectorSetInfo,
    VectorSnapshot,
};

use crate::bridge::ffi;
use crate::bridge::ffi::{Failure, Listener};
use crate::kernels::rows;
use crate::store::{Moment, Scope, key_ref};
use crate::txn::Txn;
use crate::wall::{Cancel, Failed, controlled, dtype, metric, wall};

/// A set as it is now, or a view of another moment, which takes no changes.
pub(crate) enum Vectors {
    Set(VectorSet),
    View(VectorSnapshot),
}

impl Vectors {
    fn set(&self) -> Result<&VectorSet> {
        match self {
            Vectors::Set(set) => Ok(set),
            Vectors::View(_) => Err(Error::invalid_argument("a view of a vector set takes no changes; open the set")),
        }
    }

    fn view(&self) -> Result<VectorSnapshot> {
        match self {
            Vectors::Set(set) => set.snapshot(),
            Vectors::View(view) => Ok(view.clone()),
        }
    }

    fn with<T>(&self, set: impl FnOnce(&VectorSet) -> T, view: impl FnOnce(&VectorSnapshot) -> T) -> T {
        match self {
            Vectors::Set(known) => set(known),
            Vectors::View(known) => view(known),
        }
    }
}

fn address<'n>(scope: &Scope, name: &'n str) -> tensoratom::Address<'n> {
    scope.address(ffi::KeyRef { is_name: true, number: 0, name })
}

pub(crate) fn vectors_open(scope: &Scope, name: &str, failure: &mut Failure) -> Result<Box<Vectors>, Failed> {
    wall(failure, || Ok(Box::new(Vectors::Set(scope.store.vector_set(address(scope, name))?))))
}

pub(crate) fn vectors_create(
    scope: &Scope,
    name: &str,
    dim: usize,
    dtype_number: u8,
    metric_number: u8,
    failure: &mut Failure,
) -> Result<Box<Vectors>, Failed> {
    wall(failure, || {
        let (dtype, metric) = (dtype(dtype_number)?, metric(metric_number)?);
        Ok(Box::new(Vectors::Set(scope.store.vectors(address(scope, name), dim, dtype, metric)?)))
    })
}

impl Vectors {
    pub(crate) fn vectors_dim(&self) -> usize {
        self.with(VectorSet::dim, VectorSnapshot::dim)
    }

    pub(crate) fn vectors_dtype(&self) -> u8 {
        self.with(VectorSet::dtype, VectorSnapshot::dtype).number()
    }

    pub(crate) fn vectors_metric(&self) -> u8 {
        self.with(VectorSet::metric, VectorSnapshot::metric).number()
    }

    pub(crate) fn vectors_len(&self, failure: &mut Failure) -> Result<u64, Failed> {
        wall(failure, || Ok(self.view()?.len()))
    }

    pub(crate) fn vectors_contains(&self, id: i64, failure: &mut Failure) -> Result<bool, Failed> {
        wall(failure, || self.view()?.contains(id))
    }

    pub(crate) fn vectors_add(
        &self,
        ids: &[i64],
        vectors: ffi::RowsRef<'_>,
        replace: bool,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || {
            let (set, vectors) = (self.set()?, rows(&vectors)?);
            controlled(listener, cancel, |control| match replace {
                true => set.upsert_within(ids, vectors, &control),
                false => set.append_within(ids, vectors, &control),
            })
        })
    }

    pub(crate) fn vectors_delete(
        &self,
        ids: &[i64],
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<u64, Failed> {
        wall(failure, || {
            let set = self.set()?;
            controlled(listener, cancel, |control| set.delete_within(ids, &control))
        })
    }

    pub(crate) fn vectors_ids(&self, failure: &mut Failure) -> Result<Vec<i64>, Failed> {
        wall(failure, || self.view()?.ids())
    }

    /// Another handle; `companions`: 0 auto, 1 always, 2 never.
    pub(crate) fn vectors_companions(&self, companions: u8, failure: &mut Failure) -> Result<Box<Vectors>, Failed> {
        wall(failure, || {
            let companions = match companions {
                0 => Companions::Auto,
                1 => Companions::Always,
                2 => Companions::Never,
                other => return Err(Error::invalid_argument(format!("companions of {other} are not known"))),
            };
            Ok(Box::new(Vectors::Set(self.set()?.clone().companions(companions))))
        })
    }

    pub(crate) fn vectors_info(&self, failure: &mut Failure) -> Result<ffi::VectorSetInfo, Failed> {
        wall(failure, || Ok(info(self.view()?.info())))
    }

    pub(crate) fn vectors_get(&self, ids: &[i64], out: &mut [u8], failure: &mut Failure) -> Result<Vec<bool>, Failed> {
        wall(failure, || {
            let found = self.view()?.get(ids)?;
            let width = out.len().checked_div(ids.len()).unwrap_or(0).max(1);
            for (place, vector) in out.chunks_mut(width).zip(&found) {
                match vector {
                    Some(vector) if vector.len() == place.len() => place.copy_from_slice(vector),
                    Some(_) => return Err(Error::invalid_argument("the places are of another length than vectors")),
                    None => {}
                }
            }
            Ok(found.iter().map(Option::is_some).collect())
        })
    }

    pub(crate) fn vectors_compact(
        &self,
        options: &ffi::CompactOptions,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<u64, Failed> {
        wall(failure, || {
            let (set, to) = (self.set()?, CompactOptions::new());
            let to = to.dead_fraction(options.dead_fraction).small_rows(options.small_rows);
            let to = to.part_bytes_max(options.part_bytes_max);
            controlled(listener, cancel, |control| set.compact(&to, &control))
        })
    }

    pub(crate) fn vectors_build_companions(
        &self,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<u64, Failed> {
        wall(failure, || {
            let set = self.set()?;
            controlled(listener, cancel, |control| set.build_companions(&control))
        })
    }

    pub(crate) fn vectors_search(
        &self,
        queries: ffi::RowsRef<'_>,
        k: usize,
        options: ffi::SearchOptions<'_>,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<ffi::Found, Failed> {
        let call = |queries: Rows<'_>, options: &SearchOptions<'_>| self.view()?.search(queries, k, options);
        wall(failure, || search(&queries, &options, listener, cancel, call))
    }
}

#[allow(clippy::too_many_arguments)] // the bridge has no overloads and no default arguments
impl Txn {
    pub(crate) fn txn_vectors_create(
        &mut self,
        scope: &Scope,
        name: &str,
        dim: usize,
        dtype_number: u8,
        metric_number: u8,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || {
            let (dtype, metric) = (dtype(dtype_number)?, metric(metric_number)?);
            self.0.create_vectors(address(scope, name), dim, dtype, metric).map(|_| ())
        })
    }

    pub(crate) fn txn_vectors_add(
        &mut self,
        scope: &Scope,
        name: &str,
        ids: &[i64],
        vectors: ffi::RowsRef<'_>,
        replace: bool,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || {
            let (vectors, mut set) = (rows(&vectors)?, self.0.vectors(address(scope, name))?);
            if replace { set.upsert(ids, vectors) } else { set.append(ids, vectors) }
        })
    }

    pub(crate) fn txn_vectors_delete(
        &mut self,
        scope: &Scope,
        name: &str,
        ids: &[i64],
        failure: &mut Failure,
    ) -> Result<u64, Failed> {
        wall(failure, || self.0.vectors(address(scope, name))?.delete(ids))
    }

    pub(crate) fn txn_vectors_view(
        &mut self,
        scope: &Scope,
        name: &str,
        failure: &mut Failure,
    ) -> Result<Box<Vectors>, Failed> {
        wall(failure, || Ok(Box::new(Vectors::View(self.0.vectors(address(scope, name))?.view()?))))
    }

    pub(crate) fn txn_vectors_drop(
        &mut self,
        scope: &Scope,
        name: &str,
        failure: &mut Failure,
    ) -> Result<bool, Failed> {
        wall(failure, || self.0.drop_vectors(address(scope, name)))
    }
}

pub(crate) fn vectors_view(moment: &Moment, name: &str, failure: &mut Failure) -> Result<Box<Vectors>, Failed> {
    wall(failure, || Ok(Box::new(Vectors::View(moment.0.vector_set(name)?))))
}

#[allow(clippy::too_many_arguments)] // the bridge has no overloads and no default arguments
pub(crate) fn tensor_search(
    moment: &Moment,
    key: ffi::KeyRef<'_>,
    queries: ffi::RowsRef<'_>,
    k: usize,
    options: ffi::SearchOptions<'_>,
    listener: &Listener,
    cancel: &Cancel,
    failure: &mut Failure,
) -> Result<ffi::Found, Failed> {
    wall(failure, || {
        let metric = if options.metric == 0 { Metric::Cosine } else { metric(options.metric)? };
        let matrix = moment.0.matrix(key_ref(key), metric)?;
        search(&queries, &options, listener, cancel, |queries, options| matrix.search(queries, k, options))
    })
}

impl Scope {
    pub(crate) fn vector_sets(&self, failure: &mut Failure) -> Result<Vec<ffi::VectorSetInfo>, Failed> {
        wall(failure, || {
            let sets = self.moment(self.store.snapshot()?).0.vector_sets()?;
            Ok(sets.iter().map(|set| info(set.info())).collect())
        })
    }
}

fn info(i: VectorSetInfo) -> ffi::VectorSetInfo {
    ffi::VectorSetInfo {
        name: i.name,
        dim: i.dim,
        dtype: i.dtype.number(),
        metric: i.metric.number(),
        created_lsn: i.created_lsn,
        vectors: i.vectors,
        parts: i.parts,
        deleted_rows: i.deleted_rows,
        vector_bytes: i.vector_bytes,
        id_bytes: i.id_bytes,
        companion_bytes: i.companion_bytes,
        companion_rows: i.companion_rows,
    }
}

fn search(
    queries: &ffi::RowsRef<'_>,
    options: &ffi::SearchOptions<'_>,
    listener: &Listener,
    cancel: &Cancel,
    call: impl FnOnce(Rows<'_>, &SearchOptions<'_>) -> Result<Vec<Vec<Neighbor>>>,
) -> Result<ffi::Found> {
    let queries = rows(queries)?;
    let found = controlled(listener, cancel, |control| call(queries, &search_options(options, control)?))?;
    let near = |n: Neighbor| ffi::Near { id: n.id, distance: n.distance };
    Ok(ffi::Found {
        counts: found.iter().map(Vec::len).collect(),
        neighbors: found.into_iter().flatten().map(near).collect(),
    })
}

fn search_options<'c>(o: &ffi::SearchOptions<'_>, control: Control<'c>) -> Result<SearchOptions<'c>> {
    let mut options = SearchOptions::new().threads(o.threads).full_scan(o.full_scan).control(control);
    if o.metric != 0 {
        options = options.metric(metric(o.metric)?);
    }
    if o.has_allow {
        options = options.allow(o.allow.iter().copied());
    }
    if !o.deny.is_empty() {
        options = options.deny(o.deny.iter().copied());
    }
    if o.has_id_range {
        options = options.id_range(o.id_min..=o.id_max);
    }
    if o.has_distance_max {
        options = options.distance_max(o.distance_max);
    }
    Ok(options)
}

"""One index in the memory of many workers of Dask: each holds the parts that it built from their sources."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np

from skseqmetric._estimators.index.index import SequenceIndex, check_radius
from skseqmetric._estimators.index.shard import Content, Shard
from skseqmetric._metrics.merging import merge_neighbors, merge_within

Build = Callable[[Any], SequenceIndex]


class _Held(NamedTuple):
    """A shard in the memory of some worker."""

    future: Any
    content: Content


class ShardedIndex:
    r"""References that exceed one machine: indexes in the memory of the workers of Dask, searched as one.

    A shard is a `SequenceIndex` that a worker builds from its source, such as the name of a file. Dask remembers how
    each was made. If a worker dies, another one builds its shards again, and a search that runs meanwhile waits for
    them. So a search has the answer of all references, or raises an error.

    Parameters
    ----------
    build : callable
        A function of a source that returns its `SequenceIndex`. It runs in a worker, and again after a loss, so that
        it must return the same index for the same source. `load` is one: sources are then files of saved indexes. All
        indexes must be of one metric, and each reference must have an id of its own among those of all shards.
    client : distributed.Client
        Where the workers are. They need this package.
    timeout : float or None, default=None
        Seconds after which an addition or a search gives up. None: it waits, also for workers that have yet to come.

    Raises
    ------
    TypeError
        `build` is not callable, or there is no client.

    See Also
    --------
    SequenceIndex : An index in one process.
    merge_neighbors : Join the answers of several indexes.

    Notes
    -----
    Distances are those of one index of all references to the bit, as long as all workers have processors of one kind.
    With ``backend="exact"`` in each shard, ids are the same too, but for references at the same distance: they are
    in the order of their ids. The shortlist of "hnsw" or "ivf" is longer in sum than that of one index.

    A search makes two rounds of tasks. One worker prepares the queries: it computes their embeddings, for example. All
    shards then search, each on one thread of its worker, and the client merges the answers. Of Q queries,
    :math:`O(Q K S)` numbers come back from S shards.

    Any number of threads may search while one adds or removes. A search answers from the shards of the moment when it
    began.

    A lost shard is built in the memory of another worker, which must have room for it. Dask gives up a task whose
    worker died so often as its setting ``distributed.scheduler.allowed-failures`` says, 4 times by default. Dask may
    also copy a shard to an idle worker where it expects to save time.
    ``distributed.scheduler.work-stealing: false`` forbids that.

    Examples
    --------
    One process is a cluster here:

    >>> from distributed import Client
    >>> from skseqmetric import DTWMetric, SequenceIndex, ShardedIndex
    >>> metric = DTWMetric().fit([[[0.0]], [[1.0]]])
    >>> def build(start):
    ...     return SequenceIndex(metric).add([[[i]] for i in range(start, start + 50)], ids=range(start, start + 50))
    >>> with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
    ...     index = ShardedIndex(build, client).add([0, 50])
    ...     distances, ids = index.search([[[49.7]]], k=2)
    >>> ids
    array([[50, 49]])
    """

    def __init__(self, build: Build, client: Any, *, timeout: float | None = None) -> None:
        if not callable(build):
            raise TypeError(f"build is {build!r}: pass a function of a source that returns its SequenceIndex.")
        if not all(hasattr(client, name) for name in ("map", "gather")):
            raise TypeError(f"client is {client!r}: pass a distributed.Client.")
        self.build = build
        self.client = client
        self.timeout = timeout
        self._shards: dict[Hashable, _Held] = {}

    def add(self, sources: Iterable[Hashable]) -> Self:
        """Let workers build further shards.

        Parameters
        ----------
        sources : iterable of S hashable objects
            One source for each shard, such as a file name or a range of numbers. They are sent to workers.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A source comes twice, `build` returns something else than an index, or its ids are of another kind.
        TimeoutError
            The workers did not answer in time.
        Exception
            What `build` raised, or `distributed.KilledWorker` if it cost the life of several workers. The index is then
            as it was before.
        """
        new = list(sources)
        for at, source in enumerate(new):
            if source in self._shards or source in new[:at]:
                raise ValueError(f"the source {source!r} is in the index already: nothing was added.")
        # a partial is sent as it is, where Dask would look for results of tasks in a source
        futures = self._tasks(Shard.built, list(map(repr, new)), [partial(self.build, source) for source in new])
        contents = self._answers(self._tasks(_content_of, futures))
        shards = {**self._shards, **dict(zip(new, map(_Held, futures, contents), strict=True))}
        if len({shard.content.has_texts for shard in shards.values() if shard.content.n}) > 1:
            raise ValueError("some shards have integers as ids and others text: give all references ids of one kind.")
        self._shards = shards
        return self

    def remove(self, sources: Iterable[Hashable]) -> Self:
        """Remove the shards of some sources, whose memory workers then free.

        Parameters
        ----------
        sources : iterable of hashable objects
            Sources that the index has.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            The index does not have a source. It is then as it was before.
        """
        gone = set(sources)
        if missing := gone - self._shards.keys():
            raise ValueError(f"the source {next(iter(missing))!r} is not in the index: nothing was removed.")
        self._shards = {source: shard for source, shard in self._shards.items() if source not in gone}
        return self

    def __len__(self) -> int:
        return sum(shard.content.n for shard in self._shards.values())

    @property
    def sources(self) -> list[Any]:
        """The sources of the shards in the order of their addition."""
        return list(self._shards)

    def search(self, X: Any, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest references of all shards.

        Parameters
        ----------
        X : list of Q (T_i, C) arrays, array (Q, T, C), or array (Q, T)
            Queries. They are sent to one worker.
        k : int, default=5
            Neighbours K.

        Returns
        -------
        distances : ndarray of shape (Q, K), float64
        ids : ndarray of shape (Q, K)
            Rows are sorted by (distance, id).

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, there are fewer references than neighbours, an id is in two shards, or
            a shard was built again from a source that has changed.
        TimeoutError
            The workers did not answer in time.
        distributed.KilledWorker
            Several workers died of the same shard.
        """
        if not isinstance(k, Integral) or k < 1:
            raise ValueError(f"k={k!r} must be an integer >= 1.")
        return merge_neighbors(self._found(Shard.nearest, X, int(k), least=int(k)), int(k))

    def search_radius(self, X: Any, radius: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Find all references up to a distance.

        Parameters
        ----------
        X : list of Q (T_i, C) arrays, array (Q, T, C), or array (Q, T)
            Queries. They are sent to one worker.
        radius : float
            Largest distance, >= 0.

        Returns
        -------
        distances : list of Q ndarrays (m_q,), float64
        ids : list of Q ndarrays (m_q,)
            Ids of the m_q references of each query, in the order of `search`.

        Raises
        ------
        ValueError
            The radius is negative or not finite; else as in `search`.
        """
        return merge_within(self._found(Shard.within, X, check_radius(radius), least=1))

    def _found(self, search: Callable[..., Any], X: Any, limit: float, *, least: int) -> list[Any]:
        """Return what the shards found that have references."""
        shards = [shard for shard in self._shards.values() if shard.content.n]
        n_references = sum(shard.content.n for shard in shards)
        if n_references < least:
            raise ValueError(f"the index has {n_references} references, and {least} were asked for: add more.")
        # the task can be done again by another worker; data that are scattered would be lost
        queries = self._tasks(partial(_prepared, X=X), [shards[0].future])
        n = len(shards)
        return self._answers(self._tasks(search, *zip(*shards, strict=True), queries * n, [limit] * n))

    def _tasks(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        tasks: list[Any] = self.client.map(function, *arguments, pure=False)
        return tasks

    def _answers(self, tasks: list[Any]) -> list[Any]:
        """Return the results of tasks, in time."""
        if self.timeout is not None:
            from distributed import wait

            try:
                wait(tasks, timeout=self.timeout)
            except TimeoutError as error:
                late, workers = sum(not task.done() for task in tasks), self.client.nthreads()
                raise TimeoutError(
                    f"{late} of {len(tasks)} shards did not answer in {self.timeout} s, and there are {len(workers)} "
                    "workers: see whether they run and have memory for lost shards, or wait longer."
                ) from error
        answers: list[Any] = self.client.gather(tasks)
        return answers


def _content_of(shard: Shard) -> Content:
    return shard.content


def _prepared(shard: Shard, X: Any) -> Any:
    return shard.prepared(X)

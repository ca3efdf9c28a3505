"""Decides each step: who is admitted, who decodes, whose prompt goes on, who yields its memory.

Pure and synchronous: schedule() -> the stepper runs the batch -> commit(result). The order of a step:
admission, then one token (and drafts) for everyone who decodes, then prompts within the token budget.
"""

from __future__ import annotations

import time
from bisect import insort
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sillar.engine.blocks import BlockKey, BlockManager, blocks_for
from sillar.engine.commit import Drawn, SequenceOutput, Work, commit_work
from sillar.engine.pace import LEAST_PROMPT
from sillar.engine.queue import TenantCounters, WaitingQueue
from sillar.engine.request import BLOCK_TOKENS, SequenceStep, StepResult
from sillar.engine.sequence import Sequence
from sillar.engine.spill import KvSpill

_RESTORED = 16  # blocks read from disk in a step that streams wait for
FAR_SHORTER = 4
"""A prompt that has so many times fewer tokens left than the one that is due need not wait for it."""


@dataclass(slots=True)
class SchedulerOptions:
    """Limits of a step. `budget` and `row_price` may change between steps, as speed is measured."""

    max_running: int = 64
    budget: int = 256
    """Tokens of a step, all sequences together; decoding sequences always get theirs."""
    row_price: float = 0.15
    """See StepCost.row_price."""
    prefix_cache: bool = True
    lookup: bool = True


@dataclass(slots=True)
class SchedulerStats:
    """Counters since the start."""

    steps: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    restored_tokens: int = 0
    """Of the cached ones, those that came back from disk."""
    generated_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    preemptions: int = 0


@dataclass(slots=True)
class Batch:
    """A step's work, and the same as the stepper takes it."""

    works: list[Work] = field(default_factory=list)
    steps: list[SequenceStep] = field(default_factory=list)
    tokens: int = 0
    failed: list[SequenceOutput] = field(default_factory=list)
    """Sequences that ended with an error of their own while the batch was made."""
    prompt_tokens: int = 0
    """Of `tokens`, those of prompts; the others are of streams, drafts among them."""
    before: float = 0.0
    """Tokens before each of the prompts', on average."""


class Scheduler:
    """Owns the sequences and the blocks. Every method is called by one thread, never during a step."""

    def __init__(self, blocks: BlockManager, options: SchedulerOptions, spill: KvSpill | None = None) -> None:
        self.blocks = blocks
        self._spill = spill
        self._restores = 0  # blocks that this step may still read from disk
        self.options = options
        self.stats = SchedulerStats()
        self.counters = TenantCounters()
        self.waiting = WaitingQueue(self.counters)
        self.running: list[Sequence] = []  # by rank: priority, then age

    @property
    def idle(self) -> bool:
        return not self.running and not self.waiting

    def add(self, sequence: Sequence) -> None:
        """Queues a request. Its limit must fit the cache: blocks_for(limit) <= blocks.count."""
        assert blocks_for(sequence.limit) <= self.blocks.count
        self.counters.enter(sequence.params.tenant)
        self.waiting.add(sequence)

    def remove(self, sequence: Sequence) -> bool:
        """Ends a request now, wherever it is; false when it had ended before."""
        if sequence in self.running:
            self._stop_running(sequence)
        elif not self.waiting.remove(sequence):
            return False
        self.counters.leave(sequence.params.tenant)
        return True

    def schedule(self) -> Batch:
        """The next step's work; empty only when there is none."""
        self._admit()
        batch = Batch()
        for sequence in list(self.running):
            if sequence.pending == 1 and self._grow(sequence):
                self._add(batch, sequence, 1, self._draft(sequence, batch))
        self._prefill(batch)
        self.stats.steps += 1
        return batch

    def commit(self, batch: Batch, result: StepResult) -> list[SequenceOutput]:
        """Takes what the step drew: new tokens of each sequence that got any, finished ones removed."""
        outputs = batch.failed
        drawn = Drawn(result, result.tokens.tolist(), result.logprobs.tolist())
        row = 0
        for work in batch.works:
            try:
                output = commit_work(work, drawn, row)
            except Exception as error:
                output = SequenceOutput(work.sequence, [], "stop", error=error)
            row += work.outputs
            if output is None or output.error is None:
                self._publish(work.sequence)
            if output is None:
                continue
            outputs.append(output)
            self._count(work, output)
            if output.finish_reason is not None:
                self.remove(work.sequence)
        return outputs

    # ------------------------------------------------------------ admission

    def _admit(self) -> None:
        while (sequence := self.waiting.peek()) is not None:
            hits = self._cached_blocks(sequence)
            need = blocks_for(sequence.length) - len(hits) + sum(map(self.blocks.is_idle, hits))
            # One block of headroom for each that runs, or they would preempt it in the next steps.
            fits = need + len(self.running) <= self.blocks.available
            if not fits or len(self.running) >= self.options.max_running:
                if not self._preempt(below=sequence.params.priority):
                    return
                continue
            self.waiting.remove(sequence)
            self._start(sequence, hits)

    def _start(self, sequence: Sequence, hits: list[int]) -> None:
        for block in hits:
            self.blocks.acquire(block)
            sequence.add_block(block)
        while len(sequence.blocks) < blocks_for(sequence.length):
            free = self.blocks.allocate()
            assert free is not None
            sequence.add_block(free)
        sequence.published = len(hits)
        sequence.computed = len(hits) * BLOCK_TOKENS
        if not sequence.started:
            sequence.started = True
            sequence.admitted = time.perf_counter()
            self.stats.prompt_tokens += sequence.prompt_length
            self._count_cached(sequence, sequence.computed)
        insort(self.running, sequence, key=lambda s: s.rank)

    def _cached_blocks(self, sequence: Sequence) -> list[int]:
        """The longest cached prefix, short of the rows that must be computed."""
        hits: list[int] = []
        if sequence.shares and self.options.prefix_cache:
            for index in range(sequence.cacheable):
                block = self.blocks.find(sequence.key(index))
                if block is None:
                    break
                hits.append(block)
        return hits

    # ------------------------------------------------------------ memory

    def _grow(self, sequence: Sequence) -> bool:
        """Room for the pending token, preempting those of lower rank; false: it must wait a step."""
        if not sequence.blocks:  # preempted by one before it in this very step
            return False
        while len(sequence.blocks) < blocks_for(sequence.length):
            block = self.blocks.allocate()
            if block is not None:
                sequence.add_block(block)
            elif self.running[-1] is sequence:
                return False  # those above it go on, and take its memory if they need it
            else:
                self._preempt_one(self.running[-1])
        return True

    def _preempt(self, below: int) -> bool:
        """Stops the last in rank, if its priority is below; false: there is none."""
        if not self.running or self.running[-1].params.priority >= below:
            return False
        self._preempt_one(self.running[-1])
        return True

    def _preempt_one(self, sequence: Sequence) -> None:
        """Back to the queue: its tokens stay, its cache will be computed again."""
        self._stop_running(sequence)
        sequence.computed = sequence.published = 0
        self.waiting.add(sequence)
        self.stats.preemptions += 1

    def _stop_running(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self.blocks.release(reversed(sequence.blocks))
        sequence.blocks.clear()

    # ------------------------------------------------------------ decode

    def _draft(self, sequence: Sequence, batch: Batch) -> int:
        """Writes drafted tokens behind the sequence's own and says how many."""
        if sequence.lookup is None or not self.options.lookup or sequence.scores_prompt:
            return 0
        # Nothing is preempted for a draft: what fits its blocks and the free ones.
        room = min(sequence.draft_room(), self.options.budget - batch.tokens - 1)
        draft = sequence.lookup.draft(sequence.tokens, sequence.length, room, self.options.row_price)
        end = sequence.length + len(draft)
        while len(sequence.blocks) < blocks_for(end) and self.blocks.available > len(self.running):
            block = self.blocks.allocate()
            assert block is not None
            sequence.add_block(block)
        count = min(end, len(sequence.blocks) * BLOCK_TOKENS) - sequence.length
        sequence.tokens[sequence.length : sequence.length + count] = draft[:count]
        return count

    # ------------------------------------------------------------ prefill

    def _prefill(self, batch: Batch) -> None:
        """Half of the budget for whoever is due, the other half for those far shorter, then as they are due.

        So a long prompt always goes on, a short one does not wait for it, and equals keep their order.
        """
        fresh = [sequence for sequence in self.running if sequence.pending > 1]
        if not fresh:
            return
        rows = batch.tokens
        computing: set[BlockKey] = set()
        self._restores = _RESTORED if batch.works else self.blocks.count
        left = max(self.options.budget - batch.tokens, LEAST_PROMPT)
        due = min(fresh, key=self._due)
        shorter = [s for s in fresh if FAR_SHORTER * s.pending <= due.pending]
        order = sorted(shorter, key=lambda s: (-s.params.priority, s.pending)) + sorted(fresh, key=self._due)
        shares: dict[Sequence, int] = {due: 0}
        for sequence, most in ((due, -(-left // 2)), *((s, left) for s in order)):
            count = self._chunk(sequence, shares.get(sequence, 0), min(most, left), computing)
            shares[sequence] = shares.get(sequence, 0) + count
            left -= count
        for sequence, count in shares.items():
            if count:
                self._add(batch, sequence, count, 0)
        batch.prompt_tokens = batch.tokens - rows
        reach = sum(count * (sequence.computed + count / 2) for sequence, count in shares.items())
        batch.before = reach / max(1, batch.prompt_tokens)

    def _due(self, sequence: Sequence) -> tuple[int, int, int]:
        return (-sequence.params.priority, self.counters.served(sequence.params.tenant), sequence.number)

    def _chunk(self, sequence: Sequence, given: int, most: int, computing: set[BlockKey]) -> int:
        """How many tokens more, after `given`, up to `most`."""
        if given == 0 and not self._skip_cached(sequence, computing):
            return 0
        begin = sequence.computed + given
        end = min(begin + most, sequence.length)
        if sequence.shares and self.options.prefix_cache:
            computing.update(
                sequence.key(index) for index in range(begin // BLOCK_TOKENS, end // BLOCK_TOKENS)
            )
        return end - begin

    def _skip_cached(self, sequence: Sequence, computing: set[BlockKey]) -> bool:
        """Moves past blocks that others have computed meanwhile, or that the disk has.

        False: another computes the next right now, or it comes from disk in the next step.
        """
        if not sequence.shares or not self.options.prefix_cache:
            return True
        index = begin = sequence.computed // BLOCK_TOKENS
        last = sequence.cacheable
        blocked = False
        while index < last and not blocked:
            key = sequence.key(index)
            block = self.blocks.find(key)
            if block is not None:
                self.blocks.acquire(block)
                self.blocks.release((sequence.blocks[index],))
                sequence.replace_block(index, block)
            elif key in computing or (self._spilled(key) and self._restores == 0):
                blocked = True
                continue
            elif not self._restore(sequence, index):
                break
            index += 1
        if index > begin:
            sequence.computed = index * BLOCK_TOKENS
            sequence.published = index
            self._count_cached(sequence, (index - begin) * BLOCK_TOKENS)
        return not blocked

    def _spilled(self, key: BlockKey) -> bool:
        return self._spill is not None and key in self._spill

    def _restore(self, sequence: Sequence, index: int) -> bool:
        """Reads the sequence's own block from disk and lets others find it; false: the disk has it not."""
        key, block = sequence.key(index), sequence.blocks[index]
        if self._spill is None or key not in self._spill or not self._spill.restore(key, block):
            return False
        self.blocks.publish(block, key)
        self._restores -= 1
        if sequence.generated == 0:
            self.stats.restored_tokens += BLOCK_TOKENS
        return True

    # ------------------------------------------------------------ both

    def _add(self, batch: Batch, sequence: Sequence, count: int, drafts: int) -> None:
        begin, end = sequence.computed, sequence.computed + count
        scored = sequence.scores_prompt and end > sequence.first_row
        if scored:
            outputs = end - max(begin, sequence.first_row)
        else:
            outputs = 1 + drafts if end == sequence.length else 0
        sampling, targets = sequence.sampling, None
        if scored:
            sampling = replace(
                sampling, logprobs=max(sampling.logprobs, sequence.params.prompt_logprobs or 0)
            )
            targets = sequence.tokens[end - outputs + 1 : min(end + 1, sequence.prompt_length)]
        try:
            allowed = _mask(sequence, outputs) if end == sequence.length else None
        except Exception as error:  # its grammar: nobody else's business
            self.remove(sequence)
            batch.failed.append(SequenceOutput(sequence, [], "stop", error=error))
            return
        batch.works.append(Work(sequence, count, drafts, outputs, scored))
        batch.steps.append(
            SequenceStep(
                tokens=sequence.tokens[begin : end + drafts],
                past=begin,
                blocks=sequence.table[: blocks_for(end + drafts)],
                outputs=outputs,
                sampling=sampling,
                history=sequence.tokens[:begin] if sampling.needs_history else None,
                allowed=allowed,
                targets=targets,
            )
        )
        batch.tokens += count + drafts
        self.counters.serve(sequence.params.tenant, count)

    def _publish(self, sequence: Sequence) -> None:
        """Makes the blocks that the step filled findable."""
        if not self.options.prefix_cache:
            return
        full = min(sequence.computed, sequence.length) // BLOCK_TOKENS
        while sequence.published < full:
            index = sequence.published
            block = self.blocks.publish(sequence.blocks[index], sequence.key(index))
            sequence.replace_block(index, block)
            sequence.published = index + 1

    def _count_cached(self, sequence: Sequence, tokens: int) -> None:
        """A resumed sequence finds its own blocks again: that is no hit of the prompt."""
        if sequence.generated == 0 and tokens:
            sequence.cached += tokens
            self.stats.cached_tokens += tokens

    def _count(self, work: Work, output: SequenceOutput) -> None:
        self.stats.generated_tokens += len(output.events)
        if work.drafts:
            self.stats.drafted_tokens += work.drafts
            self.stats.accepted_tokens += output.accepted


def _mask(sequence: Sequence, outputs: int) -> NDArray[np.uint32] | None:
    """What its grammar allows next. Of a scored prompt's rows only the last is drawn from."""
    if sequence.params.constraint is None:
        return None
    mask = sequence.params.constraint.mask()[None, :]
    if outputs == 1:
        return mask
    free = np.full((outputs - 1, mask.shape[1]), 0xFFFFFFFF, np.uint32)
    return np.concatenate((free, mask))

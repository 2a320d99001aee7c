"""Does compression break the provider's prompt cache, and what does a conversation cost then?

``python -m tests.bench.promptcache --data DIR`` replays the conversations of ``agent-dialogues``
and ``qmsum-val`` (as chats about retrieved passages), without DIR some about made-up prose, against
a simulated cache, for no compression, Precis, question-aware compression of the whole prompt, and
``litellm.compress`` with as many tokens as Precis sends. Prints tokens sent, the share read from
the cache and the prompt's net cost at the prices of litellm's cost map; answers cost the same for
all. What litellm's added tool costs in further calls is not counted, and one row leaves it out.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from proxy.compress import Compressor
from proxy.config import Policy
from proxy.config_file import load, shipped
from tests.bench import report
from tests.bench.conversations import Conversation, agents, made_up, meetings
from tests.bench.promptcache_ways import LiteLLM, Messages, Ours, Remembering, Sent, as_it_is
from tests.bench.provider_cache import Bill, Price, PromptCache, Provider
from tests.bench.report import Mark

NONE, PRECIS, AWARE = "no compression", "Precis", "question-aware, whole prompt"
LITELLM, BARE = "litellm.compress", "litellm.compress, its tool not counted"
WAYS = (NONE, PRECIS, AWARE, LITELLM, BARE)
ENCODING = "o200k_base"
Way = Callable[[Messages], Sent]
Bills = dict[str, Bill]


def ways(policy: Policy, model: str, counted: str) -> dict[str, Way]:
    """All ways by name. ``model`` is our classifier, ``counted`` the model litellm counts for."""
    loaded = Compressor.load(model)
    ours = Ours(Compressor(Remembering(loaded.scorer), loaded.reader), policy, ENCODING)
    count = Provider(PromptCache(), ENCODING).tokens
    precis = once(ours.precis)
    theirs = once(LiteLLM(counted, lambda messages: len(count(precis(messages)[0]))))
    return {
        NONE: as_it_is,
        PRECIS: precis,
        AWARE: ours.question_aware,
        LITELLM: theirs,
        BARE: lambda messages: (theirs(messages)[0], ()),
    }


def once(way: Way) -> Way:
    """The way, which is not gone twice in a row for the same messages."""
    last: list[Any] = [None, None]

    def go(messages: Messages) -> Sent:
        if last[0] is not messages:
            last[:] = messages, way(messages)
        sent: Sent = last[1]
        return sent

    return go


def replay(conversations: Sequence[Conversation], senders: Mapping[str, Way], what: str) -> Bills:
    """The bill of each way for all requests of these conversations, each with its own cache."""
    providers = {name: Provider(PromptCache(), ENCODING) for name in senders}
    bills = {name: Bill() for name in senders}
    for conversation in track(conversations, what, console=Console(stderr=True)):
        for messages in conversation.requests():
            for name, way in senders.items():
                bills[name] += providers[name].take(*way(messages))
    return bills


def prices(models: Sequence[str]) -> dict[str, Price]:
    """Of new and of cached tokens, from litellm's cost map."""
    import litellm

    return {
        name: Price(
            litellm.model_cost[name]["input_cost_per_token"],
            litellm.model_cost[name]["cache_read_input_token_cost"],
        )
        for name in models
    }


def show(console: Console, title: str, bills: Bills, priced: Mapping[str, Price]) -> None:
    """Tokens, share read from the cache, and costs as shares of no compression's."""
    table = Table(title=f"{title}: {bills[NONE].requests} requests", title_justify="left")
    heads = ["", "tokens sent", "read from cache"]
    heads += [f"net cost, {name} ({p.cached / p.new:.0%})" for name, p in priced.items()]
    for head in heads:
        table.add_column(head, justify="left" if not head else "right")
    for name, bill in bills.items():
        costs = [f"{bill.cost(p) / bills[NONE].cost(p):.1%}" for p in priced.values()]
        table.add_row(name, f"{bill.tokens:,}", f"{bill.hit_share:.1%}", *costs)
    console.print(table)


def marks(title: str, bills: Bills, priced: Mapping[str, Price]) -> list[Mark]:
    """Precis must cost least, and read as large a share from the cache as no compression."""
    found = []
    for model, price in priced.items():
        others = min(bill.cost(price) for name, bill in bills.items() if name != PRECIS)
        ratio = bills[PRECIS].cost(price) / others
        found.append(Mark(f"{title}: Precis over the cheapest other, {model}", ratio, 1.0, "x"))
    lost = 100 * (bills[NONE].hit_share - bills[PRECIS].hit_share)
    found.append(Mark(f"{title}: hit share lost", lost, 2.0, "points"))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 if a mark was missed."""
    wish = _arguments().parse_args(argv)
    wish.limit = min(wish.limit, 2) if wish.quick else wish.limit
    # Else its import goes to the network for the price list.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    console = Console(width=150 if not sys.stdout.isatty() else None)
    busy = report.machine()
    priced = prices(wish.prices)
    policy = load(shipped(), {}).config.policy("default")
    senders = ways(policy, wish.model, wish.prices[0])
    bills = {title: replay(found, senders, title) for title, found in _conversations(wish).items()}
    if len(bills) > 1:
        bills["all"] = {n: sum((b[n] for b in bills.values()), Bill()) for n in WAYS}
    found: list[Mark] = []
    for title, each in bills.items():
        show(console, title, each, priced)
        found += marks(title, each, priced)
    reached = report.show_marks(console, found)
    file = report.save("promptcache", _told(bills, priced, policy, wish), found)
    report.show_end(console, busy, file)
    return 0 if reached else 1


def _conversations(wish: argparse.Namespace) -> dict[str, list[Conversation]]:
    if wish.data is None:
        return {"made-up prose": made_up(wish.limit)}
    return {
        "agent-dialogues": agents(wish.data, wish.limit),
        "qmsum, retrieved passages": meetings(wish.data, wish.limit),
    }


def _told(
    bills: Mapping[str, Bills],
    priced: Mapping[str, Price],
    policy: Policy,
    wish: argparse.Namespace,
) -> dict[str, Any]:
    told = {
        title: {
            name: {
                **asdict(bill),
                "hit_share": bill.hit_share,
                "cost": {model: bill.cost(price) for model, price in priced.items()},
            }
            for name, bill in each.items()
        }
        for title, each in bills.items()
    }
    asked = {"limit": wish.limit, "model": wish.model, "encoding": ENCODING}
    return {"asked": asked, "policy": policy.model_dump(), "promptcache": told}


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.promptcache", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with agent-dialogues and qmsum-val")
    parser.add_argument("--limit", type=int, default=10, help="conversations of each kind")
    parser.add_argument("--quick", action="store_true", help="two of each kind, to try it out")
    parser.add_argument("--model", default="builtin", help="classifier that Precis loads")
    parser.add_argument(
        "--prices",
        nargs="+",
        default=["gpt-4o", "gpt-4.1", "gpt-5"],
        help="models of litellm's cost map to price for",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

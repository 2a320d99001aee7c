from __future__ import annotations

import pytest

from proxy.compress.checkpoint import find
from proxy.compress.draft import Draft, Job, Reader

FOREIGN = {
    "German": "Die Sitzung begann um neun Uhr mit einem Bericht über die Lage im Lager. Der Kühlraum "
    "war in der Nacht ausgefallen, und niemand hatte es bemerkt, weil die Nummer veraltet war.",
    "French": "La réunion a commencé à neuf heures par un rapport sur la situation dans l'entrepôt. "
    "La chambre froide était tombée en panne pendant la nuit et personne ne l'avait remarqué.",
    "Spanish": "La reunión comenzó a las nueve con un informe sobre la situación en el almacén. La "
    "cámara se había averiado durante la noche y nadie lo había notado hasta el día siguiente.",
    "Italian": "La riunione è cominciata alle nove con una relazione sulla situazione del magazzino. "
    "La cella si era guastata durante la notte e nessuno se ne era accorto fino al mattino.",
    "Dutch": "De vergadering begon om negen uur met een verslag over de toestand in het magazijn. De "
    "koelcel was in de nacht uitgevallen en niemand had het gemerkt tot de volgende ochtend.",
    "Polish": "Zebranie rozpoczęło się o dziewiątej od sprawozdania o sytuacji w magazynie. Chłodnia "
    "zepsuła się w nocy i nikt tego nie zauważył, ponieważ numer był nieaktualny.",
    "Russian": "Собрание началось в девять часов с доклада о положении на складе. Холодильник "
    "сломался ночью, и никто этого не заметил, потому что номер был старый.",
    "Chinese": "会议于九点开始，首先报告了仓库的情况。冷库在夜间发生故障，没有人注意到，因为报警器里的号码已经过期。",
    "Arabic": "بدأ الاجتماع في الساعة التاسعة بتقرير عن الوضع في المستودع. تعطلت غرفة التبريد ليلا ولم "
    "يلاحظ ذلك أحد لأن الرقم كان قديما.",
}
ENGLISH = {
    "prose": "The meeting began at nine with a report on the warehouse, and nobody had noticed that "
    "the cold room had failed during the night because the number in the panel was old.",
    "log": "ERROR worker failed to connect to database connection refused retrying in five seconds "
    "INFO scheduler started job cleanup queue default WARN memory usage above threshold on node",
    "keywords": "laptop stand aluminum adjustable foldable portable ergonomic desk riser silver "
    "compatible tablets notebooks ventilated design silicone pads",
    "names": "Ines Okafor Martin Feld Priya Raman Tom Becker Louise Grant met in Alderton and in "
    "Coldwater with Mrs Whitcombe of Nordkalt to talk about the new route for the trucks",
}


def unreadable(text: str) -> bool:
    checkpoint = find("builtin")
    reader = Reader(checkpoint.tokenizer(), checkpoint.window, checkpoint.languages)
    return bool(Draft.of(Job(text), reader).unreadable.all())


@pytest.mark.parametrize("language", FOREIGN)
def test_the_shipped_classifier_leaves_other_languages_alone(language: str) -> None:
    assert unreadable(FOREIGN[language])


@pytest.mark.parametrize("kind", ENGLISH)
def test_english_of_any_kind_is_read(kind: str) -> None:
    assert not unreadable(ENGLISH[kind])


def test_a_foreign_passage_in_an_english_text_stays_whole() -> None:
    checkpoint = find("builtin")
    reader = Reader(checkpoint.tokenizer(), 64, checkpoint.languages)
    text = (ENGLISH["prose"] + "\n\n") * 2 + FOREIGN["Russian"] + "\n\n" + ENGLISH["prose"]
    draft = Draft.of(Job(text), reader)
    assert 0 < draft.unreadable.sum() < len(draft.units)

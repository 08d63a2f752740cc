"""Category, severity, safety and language of a complaint, by tables of words and in one pass.

Simple on purpose: every hit is a word that a person can read in the tables below. Two rules come
before the counting. Safety words of all four languages are looked for in every text, because a wrong
language must not hide an injury; and they rather flag too much than too little.

How a row of a table reads: a stem begins a word (`mat` finds "maten", not "tomat"); `-` in front
finds it anywhere, for the tails of Scandinavian compounds (`-allergi` finds "nøtteallergi"); `.`
behind ends the word; `_` stands for what separates words.

RE2 looks for all stems at once in time linear in the text, so that no text can make it slow. An
alternation in `re` tries stem after stem at every character and takes hundreds of times as long.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import re2

from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.intake import TEXT_MAX

#: Words looked at to find the language; more do not make it surer.
_LANGUAGE_CHARS = 1_000

_CATEGORIES: dict[Language, dict[Category, str]] = {
    Language.NB: {
        Category.FOOD: """mat. mate middag frokost lunsj -buffet -restaurant suppe kjøtt fisken.
            kylling rå. -servering servitør kelner drikke kaffe vin. øl. dessert smak kokk
            porsjon måltid grønnsak matforgift brød vegetar kjøkken""",
        Category.DELAY: """forsink vente -ventetid kø. køen kanseller innstilt avlyst utsatt
            for_sen timevis aldri_kom ikke_kom forsinket avgang tar_for_lang""",
        Category.NOISE: """støy bråk bråke lyd. lyden. høylytt musikk naboen. fest. festet
            roping vibrasjon dur. durer sove. søvn nattero dundr""",
        Category.CLEANLINESS: """skitt møkk uren. urent renhold vask vaske støv hår. lukt stinke
            -mugg rengj insekt kakerlakk flekk håndkle sengetøy søppel rengjør""",
        Category.STAFF: """-betjening ansatt personale resepsjonist uhøflig frekk arrogant
            nedlatende -behandl uvennlig kundeservice service. servicen. kundebehandl oppførsel
            sur. hjelp ignorer avvis""",
        Category.BILLING: """faktura regning -betal belast trukket pris. prisen. dyrt refund
            refusjon tilbakebet penge kroner gebyr kvittering kort. kortet. kreditt dobbelt
            beløp konto abonnement lure svindel""",
        Category.BAGGAGE: """-bagasje koffert veske. vesken. sekk. ryggsekk ødelagt_koffert
            barnevogn. bag. bagen.""",
        Category.FACILITIES: """heis lugar rom. rommet. aircondition klimaanlegg varmtvann dusj
            toalett do. doet. nett. wifi wi_fi basseng boblebad badestamp sauna lys. lyset.
            seng. sengen. varme. ødelagt virker_ikke fungerer_ikke tv. dør. døra. døren. lekk
            internett""",
    },
    Language.SV: {
        Category.FOOD: """mat. maten. maträtt middag frukost lunch -buffé -restaurang soppa kött
            fisken. kyckling rå. -servering servitör kypare dryck kaffe vin. öl. efterrätt smak
            kock portion måltid grönsak matförgift bröd vegetar kök. köket. pizza""",
        Category.DELAY: """försen vänta -väntetid kö. kön. inställ för_sen timmar dröj
            aldrig_kom kom_aldrig avgång senarelagd tar_lång tog_lång kom_inte""",
        Category.NOISE: """buller bullr oväsen högljudd ljud. ljudet. musik grannar fest.
            festade skrik vibration sova. sömn dunk dån oljud""",
        Category.CLEANLINESS: """smuts äckl. städ ostädad damm hår. hårstrå lukt stank stinker
            -mögel rengör insekt kackerlack fläck handduk lakan sopor ofräsch""",
        Category.STAFF: """-bemötande personal anställd reception otrevlig oförskämd arrogant
            nonchalant -behandl kundtjänst kundservice service. servicen. attityd ohjälpsam
            kaxig ignorer handläggare säljare oprofession""",
        Category.BILLING: """faktur räkning betala betalning debiter pris. priset. priser. dyrt
            dyr. återbetal pengar kronor avgift kvitto kort. kortet. kredit dubbelt belopp konto
            avtal lurad lurar bedräg""",
        Category.BAGGAGE: """-bagage resväsk väska. väskan. väskor ryggsäck barnvagn kolli""",
        Category.FACILITIES: """hiss. hissen. hytt. hytten. rum. rummet. luftkonditioner
            varmvatten dusch toalett nät. nätet. wifi wi_fi pool. poolen. bubbelpool bastu lampa
            säng. sängen. värme trasig fungerar_inte funkar_inte tv. dörr läck internet bredband
            elementet""",
    },
    Language.DA: {
        Category.FOOD: """mad. maden. madret middag morgenmad frokost aftensmad -buffet
            -restaurant suppe kød kylling rå. -servering tjener drikke kaffe vin. øl. dessert
            smag kok. kokken. portion måltid grøntsag madforgift brød vegetar køkken fisken.""",
        Category.DELAY: """forsink vente -ventetid kø. køen. aflyst udsat for_sen timevis
            aldrig_kom kom_aldrig ikke_kom afgang tager_lang tog_lang kom_ikke""",
        Category.NOISE: """støj larm lyd. lyden. højlydt musik naboer. naboen. fest. festede råb
            vibration brum sove. søvn dunk spektakel""",
        Category.CLEANLINESS: """beskidt snavs rengør støv hår. lugt stank stinker -skimmel
            insekt kakerlak plet. pletter. håndklæde sengetøj skrald ulækker klam.""",
        Category.STAFF: """-betjening ansat personale receptionist uforskammet uhøflig arrogant
            nedladende -behandl kundeservice kunde_service service. servicen. opførsel sur.
            sure. medarbejder support sælger ignorer attitude hjælp""",
        Category.BILLING: """faktura regning betal opkræv trukket pris. prisen. priser. dyrt
            dyr. refund tilbagebetal penge kroner gebyr kvittering kort. kortet. kredit dobbelt
            beløb konto abonnement snyd snydt svindel""",
        Category.BAGGAGE: """-bagage kuffert taske. tasken. rygsæk barnevogn. klapvogn""",
        Category.FACILITIES: """elevator kahyt værelse aircondition klimaanlæg varmt_vand bruser
            brusebad toilet net. nettet. wifi wi_fi pool. poolen. boblebad spa. sauna lys.
            lyset. seng. sengen. varmen. virker_ikke fungerer_ikke tv. dør. døren. lækk utæt
            internet dækning bredbånd i_stykker""",
    },
    Language.EN: {
        Category.FOOD: """food meal dinner breakfast lunch buffet restaurant soup meat fish.
            chicken raw. undercooked overcooked waiter waitress drink coffee wine beer. dessert
            taste. tasted tasteless chef portion snack dining vegetarian inedible menu steak""",
        Category.DELAY: """delay late. later. wait. waiting waited hour hrs. queue cancel
            postponed rebook never_arrived stuck sitting_on tarmac line. lines. on_time
            rescheduled runway""",
        Category.NOISE: """noise noisy loud. loudly music. shouting vibrat banging party.
            partying sleep. slept awake snoring engine_noise""",
        Category.CLEANLINESS: """dirty filthy unclean dust hair. smell stink mold mould bedbug
            cockroach stain towel linen. rubbish trash grime sticky cleaned cleaning""",
        Category.STAFF: """staff rude crew. employee attitude arrogant unprofessional unhelpful
            customer_service service. manager agent impolite dismissive ignored attendant
            condescending rep. reps. hung_up on_hold hold_time phone. representative no_help
            no_response respond""",
        Category.BILLING: """invoice bill. billed charge refund price. overpriced paid. pay.
            payment fee. fees. receipt credit. double_charged voucher money. expensive reimburse
            card. cost. scam""",
        Category.BAGGAGE: """bag. bags. baggage luggage suitcase backpack stroller. pram.
            carousel""",
        Category.FACILITIES: """elevator lift. cabin. cabins. stateroom room. air_condition ac.
            hot_water shower toilet wifi wi_fi internet pool. sauna hot_tub light. bed. seat.
            seats. broken tv. door. leak heating screen. outlet website app. not_working
            doesn_t_work didn_t_work""",
    },
}

#: Words for the journey itself: if one of these is late or cancelled, the departure failed.
_JOURNEY: dict[Language, str] = {
    Language.NB: """avgang avreise avseil seiling seilte ankomst ferge ferja. båten. skipet. toget. bussen. fly.
        flyet flight. anløp ombordstigning innsjekking overfarten kaien. havnen. kapteinen. reisen. stasjon
        flyplass perrong rutebåt hurtigbåt""",
    Language.SV: """avgång avresa avfärd ankomst färja färjan båten. fartyget. skeppet. tåg. tåget. buss. bussen. flyg.
        flyget. flight. ombordstigning incheckning överfarten kajen. hamnen. kaptenen. resan. station flygplats
        perrong""",
    Language.DA: """afgang afrejse afsejl sejl ankomst færge båden. skibet. tog. toget. bus. bussen. fly. flyet.
        flight. ombordstigning indtjekning overfarten kajen. havnen. kaptajnen. rejsen. station lufthavn perron""",
    Language.EN: """departure depart sailed sailing arrival ferry ship. boat. train. bus. coach. flight. flights. plane.
        boarding embark disembark crossing voyage harbour harbor. port. captain. airport station. gate. runway
        tarmac takeoff take_off landed connection connecting layover rebook""",
}
#: Words for excursions; a failed excursion is not a failed departure.
_TOUR: dict[Language, str] = {
    Language.NB: "utflukt omvisning guidet guiden.",
    Language.SV: "utflykt rundtur guidad guiden.",
    Language.DA: "udflugt rundvisning guidet guiden.",
    Language.EN: "excursion excursions tour. tours. guide.",
}
#: Words that are used of journeys and seldom of anything else.
_CALLED_OFF: dict[Language, str] = {
    Language.NB: "forsinket forsinkelse forsinka kanseller innstilt avlyst",
    Language.SV: "försenad försening inställd inställt senarelagd",
    Language.DA: "forsinket forsinkelse aflyst",
    Language.EN: "delay cancelled canceled cancellation rescheduled postponed",
}

#: Words for those who serve, which are among those about food: alone they say nothing of the food.
_SERVING: dict[Language, str] = {
    Language.NB: "servitør kelner kokk -servering",
    Language.SV: "servitör kypare kock",
    Language.DA: "tjener kok. kokken. -servering",
    Language.EN: "waiter waitress chef",
}
#: Words by which somebody says that a wait took hours.
_HOURS: dict[Language, str] = {
    Language.NB: "timer. timers. timevis",
    Language.SV: "timmar",
    Language.DA: "timer. timers. timevis",
    Language.EN: "hours. hrs.",
}

#: Words about safety that are found in a text of any language. A word that is harmless in another of the
#: four languages ("fire" is four in Norwegian and Danish) is in `_SAFETY_OF` instead, under the languages
#: in which it is not, and here only together with another word.
_SAFETY = """
    -allergi -allergy -allergic anafyla anaphyla epipen -skadet skadde. skadd. personskad skadad.
    skadade. skadat_sig -tilskadekom injur. injury injured injuries ambulanse ambulans ambulance
    sykehus sjukhus hospital legevakt akutmottag skadestue akutten. sykestue sjukstuga skibslæge
    skipslege ship_s_doctor ship_doctor paramedic bevisstløs medvetslös bevidstløs unconscious
    besvimte svimmade besvimede fainted blødde blødte blödde. blødning blödning bleeding blood.
    blod. blodig blodet. brukket. brakk. brutit. brækket. brækkede. broken_arm broken_leg
    broken_wrist broke_my broke_her broke_his hjernerystelse hjärnskak hjernerystet concussion
    -matforgift -matförgift -madforgift food_poison kastet_opp kräktes kastede_op vomit
    throwing_up threw_up knust_glass glasskår glasbit glasskår_i glass_in_my brann. brannen.
    -brannalarm brannfare brandlarm brandalarm brandfara brandfare on_fire. caught_fire. a_fire.
    fire_alarm fire_broke fire_exit smell_of_smoke smoke_from smoke_filled smoke_alarm
    smoke_in_the røyk. røyklukt rök. röklukt røg. røglugt gnistret gnistrade gnistrede
    electric_shock elektrisk_støt elstöt elektrisk_stød fick_en_stöt diskriminer discriminat rasis
    racis hudfarge hudfärg hudfarve skin_colour skin_color homofob homophob antisemit islamofob
    islamophob trakasser trakass ofredad ofredade antastet. antastad chikane seksuel sexuell
    seksuelt sexual harass assault overfall överfall overfald threaten truet. truede. hotade.
    hotad. befølt befølte voldtekt våldtäkt voldtægt groped misbruk_av övergrepp overgreb slo_seg
    slo_hodet slo_hovedet slog_sig slog_i_huvudet slog_hovedet slog_huvudet hit_her_head
    hit_his_head hit_my_head brente_seg brände_sig brændte_sig skåldet skållad skoldet scalded
    slipped_and gled_og gled_på halkade snublet_og snubblade snublede_over faldt_og faldt_ned_ad
    falt_og falt_ned_trapp ramlade_och ramlade_ned trillade_ned fell_down fell_over fell_on drukne
    drunkna drown barn_alene barnet_alene barnet_vårt_alene barn_ensam lost_child missing_child
    child_was_hurt child_alone child_got_hurt kid_got_hurt hurt_himself hurt_herself hurt_my
    hurt_her hurt_his kidnap suicid selvmord självmord hjerteinfarkt hjärtinfarkt hjerteanfald
    heart_attack stroke. livredningsvest redningsvest flytväst life_jacket life_vest lifeboat
    livbåt livbåd nødutgang nödutgång nødudgang emergency_exit peanøtt_i jordnöt jordnødde_i
    cøliaki celiaki cøliak celiac coeliac falt_i_trapp forgift förgift gassluk gasluk gaslugt gas_leak
    fanget_i_heis fast_i_hissen fanget_i_elevator trapped_in kveles kvalt kvävas kvæles choke.
    choked_on choking branden. det_brant det_brinner brinner. bröt. brændte. brand_i_køk brand_i_kök
    brand_i_kah brand_i_hyt brand_i_mask brand_ombord brand_om_bord brandrök brandrøg burn. burned
    burnt_my poison hurt. unsafe bruise the_fire. was_fire. is_fire. no_fire. fire_in_the fire_in_our
    fire_in_my fire_on_board fire_onboard fire_on_deck fire_started fire_department fire_brigade
    firefighter. firefighters. fire_fighter
"""

_SAFETY_OF: dict[Language, str] = {
    Language.NB: "brant. gift_i.",
    Language.SV: "gift_i. brand. brann. fire.",
    Language.DA: "brant. gift_i. brand.",
    Language.EN: "fire. brant.",
}

#: Harmless phrases that contain a word about safety, in rows of the same kind. They are removed from a
#: text before it is searched again. No phrase is listed that could also be said in danger, with any
#: punctuation ("a fire, her cabin" reads like "fire her").
_HARMLESS = """
    fire_pit fire_place fire_works fire_side fire_drill fire_dancer fire_show fire_stick. fire_tv.
    fire_sale. fire_opal camp_fire. log_fire. cease_fire. rapid_fire. quick_fire. line_of_fire.
    ring_of_fire. came_under_fire. over_an_open_fire. over_open_fire. around_the_fire.
    sat_by_the_fire. sitting_by_the_fire. fire_up_the. should_fire. must_fire. would_fire.
    have_to_fire. need_to_fire. want_to_fire. going_to_fire. time_to_fire. wouldn_t_hurt.
    doesn_t_hurt. would_not_hurt. burn_calories. breast_stroke. back_stroke. stroke_of_luck.
    stroke_of_genius. pick_your_poison. drowned_out. blodig_dyr blodig_alvor blodig_biff
"""

#: The strongest words, and words of a customer who has lost patience.
_STRONG: dict[Language, str] = {
    Language.NB: """forferdelig -katastrof elendig uakseptabel skandal verst verste aldri_mer
        aldri_igjen ødela ødelagt_ferien grusom horribel svindel skammelig avskyelig motbydelig
        kvalm ekkel. ekkelt. advarer håpløs umulig krever erstatning forbrukerrådet advokat
        rasende sint. gråt. gråte helt_uholdbar uholdbar bedrøvelig utrolig_dårlig ræva""",
    Language.SV: """fruktansvärd -katastrof usel uselt urusel oacceptab skandal värst värsta
        aldrig_mer aldrig_igen förstör förskräcklig hemsk bedräg skamlig vidrig äcklig varnar
        varning hopplös undvik kräver ersättning konsumentverket allmänna_reklamation advokat
        arg. förbannad grät. helt_sjukt under_all_kritik horribel skräp. skit. idiot lurad
        ljuger blåst.""",
    Language.DA: """forfærdelig -katastrof elendig uacceptab skandal værst værste aldrig_mere
        aldrig_igen ødelagde ødelagt_ferien grusom horribel svindel skammelig modbydelig ulækker
        kvalm advarer håbløs umulig kræver erstatning forbrugerklage advokat rasende vred. græd.
        bedrageri snyd helt_uholdbar uholdbar under_al_kritik langt_væk lorte fatter_ikke""",
    Language.EN: """terrible horrible awful worst disgust unacceptable nightmare never_again
        never_fly never_cruise never_book disaster appalling ruined atrocious pathetic scam
        outrage horrendous shameful lawyer compensation furious cried. crying filthy avoid.
        disgrace inexcusable joke. stole stolen liars incompeten fail. failed hell.""",
}

#: Words of a disappointed but calm customer.
_WEAK: dict[Language, str] = {
    Language.NB: """dårlig skuff ikke_fornøyd misfornøyd kald. kaldt. iskald ikke_bra kjedelig
        treg. tregt irriter beklagelig ubehagelig uhøflig klage. klager. klaget. mangl feil.
        fortsatt_ikke ingen_svar aldri synd. trist. uvennlig ødelagt ingen. borte. rå. skitt
        bråk innstilt avlyst kanseller forsink""",
    Language.SV: """dålig besvik inte_nöjd missnöj kall. kallt. iskall inte_bra tråkig trög.
        långsam irriter obehag otrevlig klag klaga reklam sakna fel. felet. fortfarande_inte
        inget_svar aldrig synd. sämre sämst trasig tyvärr ingen. oacceptab smuts försen inställ
        missa. sovit""",
    Language.DA: """dårlig skuff ikke_tilfreds utilfreds kold. koldt. iskold ikke_godt kedelig
        langsom irriter ubehag uhøflig klag klage. mangl fejl stadig_ikke intet_svar aldrig
        ærgerlig øv. desværre ringe. træls i_stykker ingen. arrogant nedladende aflyst beskidt
        snavs mangle larm forsink""",
    Language.EN: """bad. badly poor disappoint unhappy cold. not_good not_happy slow annoy
        frustrat unpleasant rude complain missing wrong. mistake still_no no_response never.
        upset problem issue. issues. lost. broken unfortunately worse suck. sucks. trouble hate.
        waste mess. stranded refuse useless lack. ridiculous nobody no_one cancelled dirty
        delayed stained noisy""",
}


class Triage(NamedTuple):
    """What the words of a complaint say; `safety` means that a person may be in danger.

    `service` is the service that failed, None if the words do not say.
    """

    category: Category
    severity: Severity
    safety: bool
    service: Service | None = None


#: Latin-1 covers all four languages; a letter is one byte there, so that the automaton stays small.
#: Letters become lower case; everything else (digits, emoji, quotes) separates words.
_FOLD = "".join(
    char.lower() if char.isalpha() else " " for char in bytes(range(256)).decode("latin-1")
).encode("latin-1")

#: Memory for the states that real texts lead to; RE2 starts over when it is used up.
_AUTOMATON_BYTES = 32 << 20


#: What a hit counts for: a category, or one of the columns behind them.
_CATEGORY = tuple(Category)
_BEHIND = ("journey", "tour", "called_off", "serving", "hours")
_COLUMNS = (*_CATEGORY, Severity.SEVERE, Severity.MODERATE, *_BEHIND)
_FOOD_COLUMN, _STAFF_COLUMN, _SAFETY_COLUMN, _STRONG_COLUMN, _WEAK_COLUMN = map(
    _COLUMNS.index,
    (Category.FOOD, Category.STAFF, Category.SAFETY, Severity.SEVERE, Severity.MODERATE),
)
_JOURNEY_COLUMN, _TOUR_COLUMN, _CALLED_OFF_COLUMN, _SERVING_COLUMN, _HOURS_COLUMN = map(
    _COLUMNS.index, _BEHIND
)


def _pattern(stem: str) -> bytes:
    """Turn a row of the tables into a pattern for folded text."""
    begins = "" if stem.startswith("-") else "(?:^| )"
    ends = "(?:$| )" if stem.endswith(".") else ""
    return (begins + stem.strip("-.").replace("_", " +") + ends).encode("latin-1")


def _options() -> re2.Options:
    """Bytes of Latin-1, and room for the automaton."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _AUTOMATON_BYTES
    return options


def _compile(language: Language) -> tuple[re2.Set, list[int]]:
    """All stems of one language as one automaton, and the column that each stem counts for."""
    stems, columns = re2.Set.SearchSet(_options()), []
    for meaning, row in (
        *_CATEGORIES[language].items(),
        (Category.SAFETY, _SAFETY + _SAFETY_OF[language]),
        (Severity.SEVERE, _STRONG[language]),
        (Severity.MODERATE, _WEAK[language]),
        ("journey", _JOURNEY[language]),
        ("tour", _TOUR[language]),
        ("called_off", _CALLED_OFF[language]),
        ("serving", _SERVING[language]),
        ("hours", _HOURS[language]),
    ):
        for stem in row.split():
            stems.Add(_pattern(stem))
            columns.append(_COLUMNS.index(meaning))
    stems.Compile()
    return stems, columns


_TABLES: dict[str, tuple[re2.Set, list[int]]] = {
    language.value: _compile(language) for language in Language
}


_HARMLESS_PHRASE = re2.compile(b"|".join(map(_pattern, _HARMLESS.split())), _options())


def _hits(folded: bytes, language: str) -> list[int]:
    """How many distinct stems of each column are in a folded text."""
    stems, columns = _TABLES.get(language) or _TABLES[Language.EN]
    hits = [0] * len(_COLUMNS)
    for stem in stems.Match(folded) or ():
        hits[columns[stem]] += 1
    return hits


def triage(text: str, language: str) -> Triage:
    """Category, severity and safety of one complaint, from its words; never raises.

    Danger to a person decides the category and is severe. Otherwise the category with most distinct
    stems wins, the earlier one of `Category` on a tie; a wait for food counts as food, and a waiter's
    conduct as staff. A complaint is severe with two of the strongest words, or one of them and two weaker
    ones; a wait of hours is not mild. An unknown language is read as English. Looks at `TEXT_MAX`
    characters, which is all that the intake accepts.
    """
    folded = text[:TEXT_MAX].encode("latin-1", "replace").translate(_FOLD)
    hits = _hits(folded, language)
    if hits[_SAFETY_COLUMN] and _HARMLESS_PHRASE.search(folded):
        # Only the harmless phrase about safety is removed: "the fire pit was dirty" is still about cleaning.
        rest = _hits(_HARMLESS_PHRASE.sub(b" ", folded), language)
        hits[_SAFETY_COLUMN] = rest[_SAFETY_COLUMN]
    if hits[_SAFETY_COLUMN]:
        return Triage(Category.SAFETY, Severity.SEVERE, safety=True)
    most = max(hits[:_STRONG_COLUMN])
    category = _CATEGORY[hits.index(most)] if most else Category.OTHER
    severity = _severity(category, hits)
    travelled = hits[_JOURNEY_COLUMN] or hits[_CALLED_OFF_COLUMN]
    if category is Category.DELAY and hits[_FOOD_COLUMN] and not travelled:
        category = Category.FOOD
    elif (
        category is Category.FOOD
        and hits[_STAFF_COLUMN]
        and hits[_FOOD_COLUMN] == hits[_SERVING_COLUMN]
    ):
        category = Category.STAFF
    return Triage(category, severity, safety=False, service=_service(category, hits))


def _severity(category: Category, hits: Sequence[int]) -> Severity:
    """How bad it is, where nobody is in danger; `category` is what most words are about."""
    strong, weak = hits[_STRONG_COLUMN], hits[_WEAK_COLUMN]
    if strong >= 2 or (strong and weak >= 2):
        return Severity.SEVERE
    long = category is Category.DELAY and hits[_HOURS_COLUMN]
    return Severity.MODERATE if strong or weak or long else Severity.MILD


def _service(category: Category, hits: Sequence[int]) -> Service | None:
    """The service that failed: for a wait the one waited for, for food the meal; None if no word says it."""
    if category is Category.FOOD:
        return Service.MEAL
    if category is not Category.DELAY:
        return None
    if hits[_JOURNEY_COLUMN]:
        return Service.DEPARTURE
    if hits[_TOUR_COLUMN]:
        return Service.EXCURSION
    return Service.DEPARTURE if hits[_CALLED_OFF_COLUMN] else None


#: Words of one language only; "og", "ikke" and "er" would not tell Norwegian from Danish. Norwegian
#: includes Nynorsk, which we answer in Bokmål.
_FUNCTION_WORDS = {
    Language.NB: """av meg deg seg hva nå noe noen mye etter uten vært ble fikk veldig gjennom
        mellom dere hadde nei sånn enn ikkje eg ein frå dei kva noko""",
    Language.SV: """och att inte jag är för från mycket också ett till bara något någon några
        när vad utan hur varför ni vår ej väldigt hade då där här""",
    Language.DA: """af hvad noget nogen meget jer havde været uden gennem mellem fik os blive
        bliver siger sagde vores ud op ind hvornår sådan gør""",
    Language.EN: """the and was to of is it we that not they were with had my you this but an
        are when very would us their never been which there your our in on""",
}
_LANGUAGE_OF_WORD = {w: language for language, ws in _FUNCTION_WORDS.items() for w in ws.split()}

_LANGUAGE_OF_TAG = {"nb": Language.NB, "no": Language.NB, "nn": Language.NB, "sv": Language.SV}
_LANGUAGE_OF_TAG |= {"da": Language.DA, "en": Language.EN}
#: What the model tells apart; an image's model knows these alone (`deploy/images/languages.py`).
MODEL_LANGUAGES = frozenset({"no", "nn", "sv", "da", "en"})


class Languages:
    """Finds which of our languages a text is in. Building one loads a model (0.1 s, 20 MB)."""

    def __init__(self) -> None:
        """Load the model that decides when the words do not; blocks."""
        # Here and not above: importing it imports numpy, which only this class needs.
        from py3langid.langid import (  # noqa: PLC0415
            MODEL_FILE,
            LanguageIdentifier,
        )

        self._model = LanguageIdentifier.from_model_file(MODEL_FILE)
        self._model.set_languages(MODEL_LANGUAGES)

    def detect(self, text: str, hint: str | None) -> Language:
        """Choose the language to answer in: a hint of ours wins, then function words, then the model.

        `hint` is a language tag like "nb" or "sv-SE"; one that is not ours is no hint. Takes a few
        microseconds when the words decide, else about 0.1 ms. A text without words is English.
        """
        if hint and (tag := re.match("[a-z]+", hint.lower())) and tag[0] in _LANGUAGE_OF_TAG:
            return _LANGUAGE_OF_TAG[tag[0]]
        start = text[:_LANGUAGE_CHARS].casefold()
        found = Counter(filter(None, map(_LANGUAGE_OF_WORD.get, start.split()))).most_common(2)
        # One word may be a name or a quotation, so two are needed and a clear lead over the next language.
        if found and found[0][1] >= 2 and (len(found) == 1 or found[0][1] > 2 * found[1][1]):
            return found[0][0]
        if not any(map(str.isalpha, start)):
            return Language.EN
        best: str = self._model.classify(start)[0]
        return _LANGUAGE_OF_TAG[best]

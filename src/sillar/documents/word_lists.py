"""Word lists: the commonest words of a language, words without meaning for search, abbreviations."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON_WORDS = {
    "en": word_set(
        """
        the of and to in is that for it with as was on are be by this not or from which you at an have
        what how can if when does do will has been were their its who where why did there would your
        """
    ),
    "es": word_set(
        """
        el la los las de del que y en un una es por con para se no al lo como más su sus fue son está
        qué cómo cuál cuándo dónde quién cuántos cuántas puede pero este esta entre sobre también si ha
        han hay desde muy
        """
    ),
    "pt": word_set(
        """
        o os as da do das dos que e em um uma é por com para se não ao como mais foi são está você
        também no na nos nas pelo pela isso ser seu sua há
        """
    ),
    "fr": word_set(
        """
        le la les des du de et en un une est par avec pour se ne pas au ce cette dans sur qui que sont
        vous il elle aux être plus ou où ont leur
        """
    ),
    "de": word_set(
        """
        der die das und in den von zu mit ist im für auf dem nicht ein eine des sich als auch es an
        werden aus er hat dass sie nach wird bei einer wie oder
        """
    ),
    "it": word_set(
        """
        il lo la gli le di del della che e in un una è per con non si al come più sono alla dei nel da
        anche questo essere ha o
        """
    ),
}

STOP_WORDS = {
    "en": word_set(
        """
        a about also an and any are as at be been by can did do does for from had has have he how i if
        in into is it its me my not of on or our she so some such than that the their then there these
        they this those to us was we were what when where which who whom whose why will with would you
        your
        """
    ),
    "es": word_set(
        """
        a al cada como con cual cuales cuando cuanta cuantas cuanto cuantos de del desde donde durante e
        el en entre era eran es esa ese eso esta estas este esto estos fue fueron ha han hasta hay la
        las le les lo los mas me mi muy no nos o para pero por porque puede pueden que quien quienes se
        ser si sobre son su sus tambien te tu u un una unas unos y yo
        """
    ),
}
"""Folded."""

QUESTION_WORDS = word_set(
    """
    how many much what when where which who whom whose why
    como cual cuales cuando cuanta cuantas cuanto cuantos donde que quien quienes
    """
)
"""Folded."""

TIME_WORDS = word_set(
    """
    january february march april may june july august september october november december monday tuesday
    wednesday thursday friday saturday sunday century centuries decade decades year years month months week
    weeks day days hour hours minute minutes noon midnight morning evening night today tomorrow yesterday
    after before until till since during when whenever once while if always never now soon immediately daily
    weekly monthly yearly annually
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre lunes martes
    miercoles jueves viernes sabado domingo siglo siglos decada decadas ano anos mes meses semana semanas dia
    dias hora horas minuto minutos mediodia medianoche manana tarde noche hoy ayer despues antes hasta desde
    durante cuando mientras si siempre nunca ahora
    """
)
"""Folded, English and Spanish, as the next: what says when, beside digits."""

NUMBER_WORDS = word_set(
    """
    no none zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred
    hundreds thousand thousands million millions billion billions half dozen dozens many several few some
    most all every both once twice
    uno una un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince veinte treinta
    cuarenta cincuenta sesenta setenta ochenta noventa cien ciento cientos mil miles millon millones mitad
    docena decenas ninguno ninguna muchos muchas varios varias pocos pocas todos todas ambos ambas cada
    """
)
"""What says how many."""

ABBREVIATIONS = word_set(
    """
    a.c approx apr aprox art aug av c ca cap capt cf co col corp d.c dec dept dr dra e.g ed ee.uu ej est
    etc feb fig gen gov hon i.e inc jan jr jul jun lt ltd mar mr mrs ms no nov núm oct p.ej pp prof pág
    rep rev sec sen sep sept sgt sr sra srta st tel u.k u.s ud uds vol vs
    """
)

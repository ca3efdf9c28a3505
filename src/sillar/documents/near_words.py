"""Everyday words that mean nearly the same: a question says "shipping" where its document says "delivery"."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache

from sillar.documents.language import fold, is_stop_word, stem

_NEAR = {
    "en": """
        shipping ship shipped delivery deliver delivered postage dispatch dispatched parcel arrive
        return returned returns send_back send_it_back refund refunded money_back exchange
        refund refunded reimbursed reimburse repaid money_back get_back
        cost costs price priced fee charge charged expensive cheap euros dollars pay how_much_is
        pay paid payment salary wage money
        free gratis no_charge included complimentary
        cheaper discount reduction reduced offer voucher coupon
        instalment instalments installments parts monthly
        invoice bill receipt
        close closed closes closing open opening shut
        open opened opens opening unlocked
        phone telephone call mobile
        contact reach mail email
        email mail e-mail message
        park parking car cars garage vehicle
        bike bicycle bicycles cycle
        bus train tram metro station stop transport
        address located location
        fix fixed repair repairs repaired mend mends broken
        broken breaks break defect defects defective damaged damage guarantee warranty faulty
        guarantee warranty
        lost lose loss theft stolen stole missing found
        log_in login sign_in sign-in password account
        delete deleted close_account remove cancel
        cancel cancelled cancellation terminate termination rescind notice
        quit resign resignation leave leaving notice terminate
        holiday holidays vacation leave days_off time_off
        sick ill illness sickness flu disease
        doctor medical physician certificate
        eat meal meals food lunch dinner breakfast canteen restaurant cafeteria
        drink drinks coffee tea water beverage
        wifi wi-fi internet wireless network connection
        computer laptop pc device notebook
        home house living_room apartment
        abroad foreign overseas country
        child children kid kids son daughter minors baby
        dog dogs pet pets cat animal animals
        friend friends guest guests companion visitor visitors
        smoke smoking cigarette cigarettes
        course courses class classes lesson lessons training
        company firm business employer
        boss manager director chief head supervisor
        worker employee employees staff colleague colleagues
        job jobs vacancy vacancies hiring hire recruit position
        room rooms bedroom
        key keys badge card
        luggage bags suitcase suitcases baggage
        towel towels
        change changed modify exchange
        begin begins start starts from
        fast quick quickly soon
        order ordered purchase bought buy
        document form paper papers certificate
        """,
    "es": """
        envio enviar envian entrega entregar reparto paquete llega llegar pedido
        devolver devolucion devuelven reembolso reembolsa reintegro cambiar
        cuesta cuestan precio coste tarifa cuota vale valen sale euros pagar cobra
        pagar pago abonar abona cobrar cobra cobran carga recibo factura cobro
        gratis gratuito gratuita sin_coste sin_cargo incluido no_pagan
        descuento rebaja reducido menos oferta
        apuntarse apuntar apunto inscribirse inscripcion matricula reservar reserva alta
        baja rescindir cancelar cancelacion anular anula anulan dejar
        cerrar cierra cierran cerrais cerrado abre horario abren hasta
        abrir abre abren abris abierto horario
        telefono llamar numero movil
        correo mensaje email escribir
        aparcar aparcamiento coche garaje parking plaza
        autobus tren metro taxi transporte
        direccion calle donde_estais ubicacion llegar
        arreglar reparar reparacion averia roto
        roto averiado defecto garantia danado
        perdido perder perdida olvidado olvidar olvido extraviado robo robado
        contrasena clave password
        entrar acceder acceso entrada llegada
        irse irme marcharse salida dejarse salir
        vacaciones viaje libre permiso
        enfermo enfermedad medico lesion
        certificado papel justificante documento
        comer comida cena cenar desayuno desayunar almuerzo restaurante bufe
        wifi internet inalambrica conexion red
        ordenador portatil equipo
        nino ninos ninas hijo hija hijos menores bebe
        perro perros mascota mascotas gato animales
        amigo amiga amigos invitado invitados acompanante
        fumar cigarrillo tabaco
        clase clases curso sesion sesiones
        entrenador entrenadores monitor
        empresa firma compania
        jefe jefa director directora dirige
        empleado empleados trabajador personal plantilla
        trabajo empleo vacante busca contratar
        habitacion habitaciones cuarto
        llave tarjeta clave
        maletas maleta equipaje consigna
        cosas objetos pertenencias taquilla taquillas
        ropa camisa chaqueta lavar lavada lavanderia
        banarse nadar piscina bano
        frio fria caliente temperatura grados
        limpiar limpieza limpian hacen_la_habitacion
        joven jovenes menores edad
        dinero importe euros
        """,
}
"""Lines of words that stand for each other, folded. A word may stand in several."""


_WORD = re.compile(r"[^\W_]+")
_LONGEST = 3


def in_words_of(question: str, text: str, language: str) -> str | None:
    """The question with a text's near words where the text lacks its own; None where there are none.

    A question for search and scoring, not for reading: words keep the form that they have in the text.
    """
    there = _WORD.findall(text)
    folded = [fold(word) for word in there]
    stems = [stem(word, language) for word in folded]
    said = {*folded, *stems}
    tokens = list(_WORD.finditer(question))
    asked = [fold(token[0]) for token in tokens]
    pieces: list[str] = []
    place = end = 0
    while place < len(tokens):
        length, near = _near(asked, place, language, said)
        matches = (
            word for word, *forms in zip(there, folded, stems, strict=True) if not near.isdisjoint(forms)
        )
        found = next(matches, None) if near else None
        if found is not None:
            pieces += [question[end : tokens[place].start()], found.lower()]
            end = tokens[place + length - 1].end()
        place += length
    return "".join([*pieces, question[end:]]) if pieces else None


def _near(
    asked: Sequence[str], place: int, language: str, said: Collection[str]
) -> tuple[int, frozenset[str]]:
    """How many words from `place` on stand for something near, and for what; one and nothing for most."""
    groups = _groups(language)
    for length in range(min(_LONGEST, len(asked) - place), 1, -1):
        if near := groups.get("_".join(asked[place : place + length])):
            return length, near
    word = asked[place]
    base = stem(word, language)
    if is_stop_word(word) or word in said or base in said:
        return 1, frozenset()
    return 1, groups.get(word) or groups.get(base) or frozenset()


@cache
def _groups(language: str) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in _NEAR.get(language, "").splitlines():
        forms = {form for word in line.split() for form in (word, stem(word, language))}
        for form in forms:
            found.setdefault(form, set()).update(forms)
    return {form: frozenset(near) for form, near in found.items()}

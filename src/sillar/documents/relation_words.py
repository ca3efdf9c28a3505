"""What can be asked about somebody or something, and the words that tell it; folded, English and Spanish."""

from __future__ import annotations

RELATIONS = (
    (
        "birth",
        "born birth birthday birthdate birthplace how_old nacer nace nacio nacieron nacido nacida "
        "nacimiento natal cumpleanos cuantos_anos_tiene que_edad",
        "native age aged years_old year_old baptised baptized natal origin descent edad nato oriundo "
        "natural bautizado bautizada originario originaria anos",
    ),
    (
        "death",
        "die died dies death muere murio murieron morir muerto muerta muerte fallecer fallecio "
        "fallecieron fallecimiento",
        "dead dying deceased killed kill murder assassinated executed beheaded hanged drowned perished "
        "succumbed suicide fatal lethal casualties victims survive lost_his_life passed_away grave buried "
        "tomb fallecido fallecida matar mato asesinado asesinada ejecutado ejecutada ahogado ahogo "
        "perecio perecer sucumbio suicidio suicido mortal victimas bajas sobrevivir tumba enterrado "
        "enterrada difunto",
    ),
    (
        "marriage",
        "marry married marries wife husband spouse wedding caso casaron casado casada casarse boda esposa "
        "esposo marido",
        "wed marriage bride groom widow widower divorced engaged matrimonio mujer viudo viuda conyuge "
        "contrajo nupcias divorcio",
    ),
    (
        "education",
        "study studied educated graduate graduated university college go_to_school went_to_school estudio "
        "estudiaron estudiar graduo licencio universidad carrera",
        "education school degree student pupil trained training learned taught attended phd doctorate "
        "diploma class academy apprentice formo formarse formado formada formacion estudiante alumno "
        "alumna escuela colegio instituto academia doctorado doctoro titulo aprendio curso licenciado "
        "licenciada facultad",
    ),
    (
        "home",
        "live lives lived living reside resides resided vive viven vivio vivieron vivir vivia residia",
        "life inhabit inhabited inhabitants residence resident home house dwell settled settle population "
        "stayed moved native based neighbourhood people households born vivienda casa hogar domicilio "
        "residencia residente habitante habitantes habita poblacion establecio instalo mudo traslado "
        "nacio vida gente",
    ),
    (
        "founding",
        "founded founder founders establish established create created start started began begin set_up "
        "fundo fundaron fundado fundada fundar fundador fundadora creo crearon creado creada crear empezo "
        "empezaron comenzo comenzaron inicio iniciaron establecio establecieron",
        "founding foundation establishment creation creating creator launch launched inception "
        "incorporated formed form formation introduced introduce originated origin opened opening "
        "initiated initial beginning first built became become invented develop developed design designed "
        "made make produced join joined since entered commenced emerged appeared dates organized "
        "instituted fundacion creacion creador inicial lanzo lanzamiento formo formado formacion "
        "introdujo origino origen abrio apertura inauguro iniciado iniciar comienzo comenzar empezar "
        "principio primer primera primero construyo paso convirtio invento desarrollo desarrollar diseno "
        "hizo hecho produjo incorporo desde entro surgio aparecio instituyo instauro organizo establecido "
        "establecida constituyo",
    ),
    (
        "end",
        "end ended ends stop stopped finish finished cease ceased acabo acabaron termino terminaron "
        "terminar finalizo finalizar dejo_de dejaron_de",
        "until till finally last closed close retired retire left leave quit completed complete concluded "
        "conclusion over dissolved abolished cancelled discontinued expired expire halted surrendered "
        "defeat after abandoned hasta ultimo ultima cerro cerrar jubilo retiro concluyo completo "
        "completar disolvio abolio cancelo ceso cesar fin final expira caduca abandono tras rindio "
        "derrota suprimio",
    ),
    (
        "building",
        "build built builder construct constructed construyo construyeron construido construida construir",
        "construction building erected raised finished completed architect dates made assembled develop "
        "created laid opened reconstruccion construccion levanto levantado levantada edificado edifico "
        "erigio erigido erigida obra obras arquitecto termino data hizo creo desarrollo creado",
    ),
    (
        "purchase",
        "buy buys bought purchase purchased acquire acquired compro compraron comprado comprada comprar "
        "adquirio adquirieron adquirir",
        "acquisition takeover took_over sold sell sale paid merged obtained gained won secured compra "
        "adquisicion adquirido adquirida vendio vendido vendida venta pago fusiono obtuvo consiguio gano",
    ),
    (
        "sale",
        "sell sold sells vendio vendieron vendido vendida vender",
        "sale sales bought purchase purchased acquired buyer seller auction available stock offer venta "
        "ventas compro comprado comprada adquirio comprador subasta disponible oferta",
    ),
    (
        "employment",
        "join joined hired employed employer appointed incorporo incorporaron unio unieron contrato "
        "contratado contratada empleado empleada",
        "joins member membership since became become started began entered recruited enlisted came worked "
        "work hire hires employ appoint elected nominated signed enrolled merged assigned incorporarse "
        "unirse miembro desde paso empezo comenzo entro ingreso ingresar alisto vino llego trabajo "
        "trabajar contratar nombro nombrado nombrada eligio elegido elegida ficho firmo designado designo "
        "adhirio",
    ),
    (
        "leaving",
        "leave leaves left resign resigned retire retired quit fired jubilo jubilaron retiro dimitio "
        "dimitieron renuncio marcho marcharon abandono abandonaron se_fue se_fueron despidio",
        "resignation retirement departed departure stepped_down dismissed exit withdrew withdraw until "
        "gone go went stopped expelled emigrated fled escaped moved abandoned replaced succeeded notice "
        "jubilacion retirada dimision renuncia marcha partida salio salida partio cese ceso hasta fue "
        "huyo emigro escapo sustituyo sustituido sucedio despido despedido dejo expulso",
    ),
    (
        "moving",
        "move moved moves relocate relocated mudo mudaron mudarse traslado trasladaron trasladarse",
        "relocation transferred transfer migrated settled shifted emigrated went came mudanza trasladado "
        "trasladada movio mover moverse desplazo desplazar emigro fue llego instalo establecio",
    ),
    (
        "prize",
        "prize prizes award awards awarded medal won win winner premio premios gano ganaron ganado ganar "
        "medalla galardon ganador ganadora",
        "wins winning victory victorious defeated defeat beat title champion champions championship "
        "received trophy cup nobel honour honor honored granted earned first star laureate gained recibio "
        "galardonado galardonada trofeo copa titulo campeon campeones campeonato victoria vencio derroto "
        "derrota triunfo concedio concedido otorgo otorgado obtuvo consiguio estrella primer",
    ),
    (
        "ownership",
        "owner owners owns owned belong belongs dueno duena duenos propietario propietaria propietarios "
        "pertenece pertenecia posee",
        "own possession possess property holds held acquired bought sold controlled part shares "
        "shareholder member under propiedad tiene adquirio compro vendio controla accionista parte "
        "titular miembro bajo",
    ),
    (
        "cost",
        "cost costs price prices expensive cheap fee fees cuesta cuestan costo costaron costar coste "
        "precio precios caro cara barato barata tarifa vale",
        "costing worth charge charges charged free paid pay pays payable euro euros dollar dollars pound "
        "pounds cent cents value rate million billion spent budget rent cost_free gratis gratuito "
        "gratuita valen pagar pago paga abona abonar dolar dolares libra libras peseta pesetas centimos "
        "millon millones valor importe cargo gasto gastaron presupuesto cuota alquiler asciende",
    ),
    (
        "weight",
        "weigh weighs weight heavy pesa pesan pesar peso pesado pesada",
        "kilo kilos kilogram kilograms kg gram grams ton tons tonne tonnes pounds lb lbs ounces mass "
        "light kilogramo kilogramos gramo gramos tonelada toneladas libras onzas masa ligero ligera",
    ),
    (
        "pay",
        "earn earns earned salary wage wages income gana cobra sueldo salario ingresos",
        "paid pay pays payment euros dollars pounds make made revenue profit bonus net pagar paga pago "
        "ganar gano cobrar beneficio recibe percibe dolares libras",
    ),
    (
        "lead",
        "lead leads led head heads chief boss in_charge chairman president director manager ceo dirige "
        "dirigio dirigen jefe jefa presidente presidenta encargado encargada responsable",
        "leader leading leadership headed run runs ran direct directs directed manage manages managed "
        "chair commander commanded command governor govern ruled captain principal presided charge "
        "dirigir dirigido dirigida lider lidera lidero liderado encabeza encabezo gestiona gerente "
        "comandante mando gobierna gobernador capitan cargo preside direccion",
    ),
    (
        "invention",
        "invent invented inventor invento inventaron inventado inventora",
        "invention creator created develop developed design designed devised discovered patent patented "
        "introduced built made first pioneer proposed invencion inventar creador creo creado desarrollo "
        "desarrollado diseno disenado ideo descubrio patente patento introdujo construyo hizo primer "
        "pionero propuso",
    ),
    (
        "closing",
        "close closed closes shut cerro cerraron cerrado cerrada cerrar cierra cierran cerrais",
        "closing closure hours until till open opens opening ended ceased bankrupt dissolved demolished "
        "cierre hasta horario abre abren abierto abierta quiebra disolvio ceso",
    ),
    (
        "opening",
        "opened opens inaugurated abrio abrieron abre abren abrir abris inauguro inauguraron inaugurado "
        "inaugurada",
        "open opening inauguration inaugurate hours from launched started began founded established first "
        "built completed unveiled until apertura abierto abierta inauguracion inaugurar horario desde "
        "lanzo empezo comenzo fundo fundado fundada primer primera construyo termino hasta",
    ),
    (
        "writing",
        "write wrote written writer author published escribio escribieron escrito escrita escribir autor "
        "autora publico publicaron publicado publicada",
        "writing writings writes publish publication publishes novel book books work works paper article "
        "text composed penned drafted edited printed appeared released document essay poem letter "
        "treatise author_of escritos escritor escritora publicacion publicar novela libro libros obra "
        "obras articulo texto compuso redacto edito imprimio aparecio documento ensayo poema carta "
        "tratado",
    ),
    (
        "design",
        "design designed designer architect diseno disenaron disenado disenada disenador disenadora "
        "arquitecto arquitecta",
        "designs created create conceived planned drew drawn architecture built plans developed invented "
        "engineer disenar arquitectura creo creado proyecto proyectado proyectada proyectar concibio ideo "
        "planos dibujo desarrollo invento construyo ingeniero",
    ),
    (
        "discovery",
        "discover discovered discoverer descubrio descubrieron descubierto descubierta descubridor",
        "discovery found find identified observed isolated detected noticed recognized recognised known "
        "first finding unearthed explored realized descubrimiento descubrir encontro encontraron hallo "
        "hallazgo hallado identifico observo aislo detecto reconocio conocido conocida primer primero "
        "exploro",
    ),
)
"""(name, what a question says, what else tells it). A question says it as it is written here: "found" asks
for no founder.
"""

"""Words that columns are called by, role by role, in the languages that order tables are written in.

Words are compared without case and accents. `what` says what a column is about, `form` in which form (an id, a number);
a name with a word of `never` is something else. Order does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CURRENCIES", "PERSONAL", "PROTECTED", "ROLES", "Words"]


@dataclass(frozen=True)
class Words:
    """`alone` is the score, 0 to 1, of a name with a word of `what` only, `formed` of one with a word of `form` too."""

    what: tuple[str, ...]
    form: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    alone: float = 1.0
    formed: float = 1.0
    weak: tuple[str, ...] = ()
    """Words that say a little: they score half."""


ID = tuple(
    (
        "id ids no nr num number nummer numero numer key code cod codigo kod ref uid uuid guid # "
        "tunnus nro kennung номер код 番号 编号 id番号"
    ).split()
)
TIME = tuple(
    (
        "date time datetime timestamp ts datum fecha dia jour heure zeit zeitpunkt uhrzeit tijd hora "
        "ora dato tid data pvm paivamaara aika дата время 日 日期 日時 日付 时间 at on when"
    ).split()
)
DETAIL = tuple(
    (
        "name vorname nachname surname firstname lastname nom prenom nombre apellido email mail phone "
        "tel telefon city town street address adresse postcode zip plz type typ kind status state "
        "segment group gruppe gruppo age alter gender sex count anzahl lat lon latitude longitude "
        "name1 имя 名前 氏名 姓名 since seit tier level score"
    ).split()
)
MONEY_WORDS = tuple(
    (
        "amount total price sum value sales revenue betrag preis umsatz summe montant prix importe precio "
        "importo prezzo bedrag prijs"
    ).split()
)

CUSTOMER = Words(
    what=tuple(
        (
            "customer cust client kunde kunden cliente clienti clientes acheteur buyer shopper member "
            "mitglied membre miembro socio household user benutzer klant kund asiakas klient zakaznik "
            "musteri клиент покупатель 顧客 会員 客户 顾客 用户 고객 account acct konto compte cuenta "
            "subscriber abonnent patron guest donor debitor contact loyalty card kundin πελατης عميل"
        ).split()
    ),
    form=ID,
    never=(
        *TIME,
        *DETAIL,
        *MONEY_WORDS,
        "order",
        "invoice",
        "product",
        "manager",
        "rep",
        "credit",
        "size",
        "comp",
        "segmentation",
    ),
    alone=0.75,
    weak=("visitor", "person", "partner", "party", "individual", "email", "mail"),
)
_NOT_AN_ORDER = tuple(
    (
        "line position pos item product qty quantity menge store seller salesperson person employee cashier "
        "week month year channel currency discount tax shipping"
    ).split()
)
ORDER = Words(
    what=tuple(
        (
        "order invoice basket ticket receipt transaction trans txn bestellung bestell auftrag "
        "rechnung beleg bon kassenbon facture commande pedido factura orden ordine fattura scontrino "
        "bestelling factuur encomenda fatura zamowienie paragon faktura ordre kvitto tilaus kuitti "
        "заказ чек счет 注文 订单 訂單 伝票 주문 cart purchase sale bill voucher document siparis "
        "objednavka compra vente achat documento"
    ).split()
    ),
    form=ID,
    never=(*TIME, *DETAIL, *MONEY_WORDS, *_NOT_AN_ORDER),
    alone=0.75,
    weak=("session", "booking", "visit"),
)  # fmt: skip
TIMES = Words(
    what=TIME,
    form=tuple(
        (
            "order ordered invoice purchase purchased sale sold transaction trans bought basket bestell "
            "bestellung kauf rechnung beleg auftrag verkauf commande facture achat vente compra pedido "
            "venta factura vendita ordine acquisto fattura aankoop bestelling zakup zamowienia kop kjop "
            "osto заказа покупки продажи 注文 購入 下单 购买 created placed"
        ).split()
    ),
    never=tuple(
        (
            "birth geburt geburtsdatum naissance nacimiento nascita dob updated modified changed shipped "
            "ship delivery delivered lieferung liefer versand due expiry expires valid signup "
            "registration registered joined loaded ingest ingested etl paid payment zahlung deleted "
            "cancelled returned from until data_quality week month year open kids zone timezone рождения"
        ).split()
    ),
    alone=0.7,
    weak=("created", "ordered", "sold", "purchased", "day", "tag"),
)
TOTAL = Words(
    what=tuple(
        (
            "amount total sales revenue betrag gesamt gesamtpreis gesamtbetrag summe umsatz montant "
            "importe importo bedrag totaal valor belopp belop summa kwota сумма выручка 金额 金額 売上 "
            "合計 总额 총액 spend spent turnover paid subtotal sum extended linetotal payment tutar"
        ).split()
    ),
    never=tuple(
        (
            "unit units each einzel stuck unitaire unitario unidad discount disc rabatt remise descuento "
            "sconto tax vat mwst ust tva iva shipping versand freight fracht cost kosten cogs margin "
            "marge profit balance saldo budget credit limit count qty quantity quantite cantidad quantita "
            "anzahl menge points tip fee refund income salary id code currency channel date method type "
            "tariff rate percent pct share количество rank"
        ).split()
    ),
    weak=("value", "wert", "gross", "net", "netto", "brutto", "ca", "gmv", "price", "preis"),
)
PRICE = Words(
    what=tuple(
        (
            "price unitprice preis einzelpreis stuckpreis prix precio prezzo prijs preco pris hinta cena "
            "цена 単価 单价 价格 価格 가격 fiyat"
        ).split()
    ),
    form=tuple("unit each einzel stuck item unitaire unitario piece per".split()),
    never=tuple("total gesamt discount disc rabatt cost shipping versand list band range tier id code".split()),
    alone=0.8,
    weak=("unit cost", "rate"),
)
QUANTITY = Words(
    what=tuple(
        (
            "quantity qty menge anzahl stuck stuckzahl quantite qte cantidad cant quantita qta aantal "
            "quantidade qtd qtde antal antall kvantitet maara ilosc количество кол 数量 个数 수량 pieces "
            "pcs adet mnozstvi ποσοτητα"
        ).split()
    ),
    never=("price", "preis", "prix", "precio", "id", "discount", "total", "kinder", "children", "orders"),
    weak=("units", "items", "count", "volume", "einheiten"),
)
PRODUCT = Words(
    what=tuple(
        (
            "product prod article artikel item sku stockcode stock ean upc gtin isbn asin produit "
            "producto articulo prodotto articolo produto produkt vare vara tuote varenummer товар артикул "
            "商品 产品 品番 제품 urun material plu"
        ).split()
    ),
    form=ID,
    never=tuple(
        (
            "category kategorie categorie categoria group gruppe warengruppe department type price preis "
            "count qty quantity total date line amount value size items weight brand name family familie"
        ).split()
    ),
    alone=0.75,
    weak=("bezeichnung", "designation", "libelle", "product name", "artikelname"),
)
CATEGORY = Words(
    what=tuple(
        (
            "category categorie categoria kategorie kategoria kategori department dept warengruppe "
            "produktgruppe rayon reparto seccion familie famille familia section aisle commodity "
            "abteilung sparte sortiment категория 分类 類別 カテゴリ 部門 분류 osasto"
        ).split()
    ),
    never=("id", "count", "price", "customer", "age", "income"),
    weak=("group", "gruppe", "class", "klasse", "genre", "line", "brand", "marke", "marque", "subcategory", "sub"),
)
RETURN = Words(
    what=tuple(
        (
            "return returned returns refund refunded retoure rueckgabe ruckgabe retour devolucion reso "
            "storno stornierung cancelled canceled cancellation credit gutschrift avoir возврат 返品 退货 "
            "zwrot"
        ).split()
    ),
    never=(*TIME, "reason", "amount", "id", "policy", "card", "limit", "score"),
    weak=("status", "state", "zustand", "etat", "estado", "stato", "type", "typ", "статус", "状态"),
)
CURRENCY = Words(
    what=(
        "currency",
        "curr",
        "ccy",
        "wahrung",
        "devise",
        "moneda",
        "valuta",
        "waluta",
        "moeda",
        "валюта",
        "货币",
        "通貨",
    )
)

CONSENT = Words(
    what=tuple(
        (
            "consent optin einwilligung zustimmung werbeeinwilligung consentement consentimiento consenso "
            "toestemming samtykke samtycke zgoda согласие 同意 permission"
        ).split()
    ),
    never=(*TIME, "id", "source", "text"),
)
OPT_OUT = Words(
    what=tuple(
        (
            "optout optedout unsubscribed unsubscribe werbesperre widerspruch suppressed suppression "
            "donotcontact dnc donotprofile desabonne baja objection"
        ).split()
    ),
    never=(*TIME, "id", "reason", "source"),
)

ROLES: dict[str, Words] = {
    "customer_id": CUSTOMER,
    "order_id": ORDER,
    "ordered_at": TIMES,
    "total": TOTAL,
    "price": PRICE,
    "quantity": QUANTITY,
    "product": PRODUCT,
    "category": CATEGORY,
    "return": RETURN,
    "currency": CURRENCY,
    "consent": CONSENT,
    "opt_out": OPT_OUT,
}

PROTECTED: dict[str, tuple[str, ...]] = {
    "age": tuple(
        (
        "age alter edad eta idade leeftijd alder ika wiek возраст 年齢 年龄 birth birthday birthdate "
        "birthyear dob geburt geburtsdatum geburtsjahr naissance nacimiento nascita geboren"
    ).split()
    ),
    "gender": tuple(("gender sex geschlecht genre sexe genero sexo genere "
        "sesso geslacht kon kjonn plec пол 性別 性别").split()),
    "income": tuple((
        "income salary einkommen gehalt revenu salaire ingreso ingresos reddito inkomen dochod доход "
        "収入 年収"
    ).split()),
    "ethnicity": tuple((
        "ethnicity ethnic race herkunft ethnie etnia etnicidad nationality staatsangehorigkeit "
        "nationalite nacionalidad nazionalita национальность 国籍"
    ).split()),
    "religion": tuple("religion religious konfession confession glaube religione религия 宗教".split()),
    "marital status": tuple(("marital married familienstand matrimonial "
        "maritale civil estado_civil verheiratet 婚姻").split()),
    "health or disability": tuple(("disability disabled handicap behinderung health "
        "gesundheit diagnosis pregnant sante salud").split()),
    "sexual orientation": tuple("orientation sexuality".split()),
    "politics or union": tuple("political politics party_affiliation union gewerkschaft syndicat".split()),
    "family": tuple("kids children kinder enfants hijos figli household_comp".split()),
}  # fmt: skip
"""What a column may say of a person that must not decide how the person is treated."""

PERSONAL = tuple(
    (
        "name vorname nachname surname firstname lastname fullname nom prenom nombre apellido "
        "apellidos cognome email mail e-mail phone mobile tel telefon handy telephone telefono fax "
        "address adresse street strasse rue calle via postcode postleitzahl zip plz cp iban bic ssn "
        "passport ip cookie device login username password latitude longitude lat lon lng имя телефон "
        "адрес почта 氏名 名前 電話 住所 姓名 电话 地址 邮箱 comment notes bemerkung"
    ).split()
)
"""Words of columns that point at one person: never shown, never attributes."""

_CODES = "EUR USD GBP CHF SEK NOK DKK PLN CZK HUF JPY CNY INR AUD CAD NZD BRL MXN ZAR TRY"
CURRENCIES: dict[str, str] = {
    **{code.lower(): code for code in _CODES.split()},
    "€": "EUR", "£": "GBP", "₹": "INR", "euro": "EUR", "euros": "EUR", "pounds": "GBP", "yen": "JPY",
}  # fmt: skip
"""Words and signs in names and values -> ISO 4217; `$` and `¥` are several currencies' sign and tell none."""

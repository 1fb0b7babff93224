"""Ordinary Chinese of meetings, calls and news, and words that somebody might ask for.

By these it is measured how often something is taken for a hotword that is none, and how often one that was misheard is
found.
"""

PAGE = """\
各位同事大家上午好，今天的会议主要讨论下个季度的工作安排。
首先请财务部介绍一下上个月的收入和支出情况。
根据目前的数据，我们的销售额比去年同期增长了百分之十二。
但是原材料价格上涨比较快，利润反而下降了一些。
我建议成立一个专门的小组，负责和供应商重新谈判。
这个项目的进度有点慢，主要是因为测试环境一直不稳定。
开发团队已经加班两个星期了，大家都很辛苦。
客户那边希望我们在月底之前给出正式的报价。
关于合同里的违约条款，法务还需要再确认一下。
如果没有其他问题，今天的会就先开到这里，散会。
喂，你好，请问是物业公司吗，我家里的水管漏水了。
您好，您的快递已经放在小区门口的柜子里，请尽快来取。
我想预约下周三下午的专家门诊，请问还有号吗。
病人昨天晚上开始发烧，最高的时候到了三十九度五。
医生说要先做一个血常规检查，再决定要不要住院。
这种药每天吃三次，饭后半小时服用，不要喝酒。
明天北方大部分地区有小到中雪，气温会下降六到八度。
受台风影响，沿海的几个城市已经停课停工。
昨天的比赛非常激烈，双方一直打到最后一分钟才分出胜负。
这部电影的导演以前拍过不少纪录片，镜头很有生活气息。
我小时候住在一个小镇上，门前有一条河，夏天我们常去游泳。
奶奶做的红烧肉特别香，每次过年我都能吃两大碗饭。
孩子今年上初三了，学习压力挺大的，每天写作业写到很晚。
老师说他上课爱走神，不过数学成绩还是不错的。
周末我们打算去郊外爬山，顺便在农家乐吃顿饭。
从这里到火车站大概要四十分钟，路上可能会堵车。
你先坐地铁二号线，到人民广场再换一号线就行了。
房东说下个月要涨房租，我正在考虑要不要搬家。
这款手机的电池很耐用，拍照效果也不错，就是有点重。
麻烦你把文件发到我的邮箱里，我晚上回去看一下。
专家认为，人工智能会改变很多行业的工作方式。
政府将继续加大对中小企业的支持力度，降低融资成本。
新的交通规则从明年一月一日起正式实施。
据了解，事故的原因还在进一步调查当中。
经济学家指出，消费信心的恢复还需要一段时间。
图书馆周一闭馆，周二到周日从早上九点开到晚上八点。
我觉得这件事情没有那么简单，我们最好再跟他当面谈一谈。
其实当时我也没有想清楚，只是觉得机会难得就答应了。
他说话一向很直接，你别往心里去，他没有恶意。
时间过得真快，一转眼我们毕业都已经十年了。
""".splitlines()

_HOTWORDS = """
张伟 李娜 王芳 刘洋 陈静 杨帆 赵磊 黄敏 周杰 吴迪 徐丽 孙浩 朱琳 高远 林峰 何洁 郭涛 马超 罗毅 梁静
欧阳娜娜 诸葛亮 司马光 曾小贤 解晓东 单田芳 张三丰 李世民 王建国 刘德华 陈思远 周志强 吴雨桐 郑海涛 孙晓梅
华为 小米 腾讯 京东 美团 滴滴 百度 联想 格力 海尔 茅台 平安 万科 顺丰 中兴 阿里巴巴 字节跳动 比亚迪 宁德时代
工商银行 招商证券 中国移动 中石化 京东方 海康威视 科大讯飞 蚂蚁金服
深圳 徐汇 朝阳 浦东 余杭 昆山 无锡 福田 南山 亦庄 张江 中关村 望京 陆家嘴 乌鲁木齐 呼和浩特
阿司匹林 布洛芬 胰岛素 冠状动脉 核磁共振 心电图 高血压 支气管炎 甲状腺 白细胞
云原生 微服务 区块链 大模型 向量库 飞桨 鸿蒙 麒麟 昇腾 语音识别 数据湖 中台 敏捷 灰度发布
"""
HOTWORDS = tuple(_HOTWORDS.split())

# What a recognizer wrote, and what had been said.
MISHEARD = (
    ("章伟说他不来了", "张伟说他不来了"),
    ("请丽娜把表格发给我", "请李娜把表格发给我"),
    ("我们要问一下曾晓贤", "我们要问一下曾小贤"),
    ("欧阳拉拉下午到", "欧阳娜娜下午到"),
    ("他最喜欢听山田方的评书", "他最喜欢听单田芳的评书"),
    ("太极拳相传是章三峰创立的", "太极拳相传是张三丰创立的"),
    ("这个要王建果签字", "这个要王建国签字"),
    ("吴雨童已经离职了", "吴雨桐已经离职了"),
    ("这是化为的新手机", "这是华为的新手机"),
    ("花为的股份", "华为的股份"),
    ("小咪汽车", "小米汽车"),
    ("腾迅会议", "腾讯会议"),
    ("阿里爸爸的年报", "阿里巴巴的年报"),
    ("字节条动的办公室", "字节跳动的办公室"),
    ("比亚敌的销量", "比亚迪的销量"),
    ("林德时代的电池", "宁德时代的电池"),
    ("工商营行的账户", "工商银行的账户"),
    ("科大迅非的语音技术", "科大讯飞的语音技术"),
    ("海康危视的摄像头", "海康威视的摄像头"),
    ("蚂蚁金福上市", "蚂蚁金服上市"),
    ("他在中官村上班", "他在中关村上班"),
    ("路加嘴的写字楼", "陆家嘴的写字楼"),
    ("飞往乌鲁木其的航班", "飞往乌鲁木齐的航班"),
    ("每天一片阿斯匹林", "每天一片阿司匹林"),
    ("布洛分可以退烧", "布洛芬可以退烧"),
    ("注射一岛素", "注射胰岛素"),
    ("做一次核磁共正", "做一次核磁共振"),
    ("慢性之气管炎", "慢性支气管炎"),
    ("甲壮腺结节", "甲状腺结节"),
    ("白细包偏高", "白细胞偏高"),
    ("云元生架构", "云原生架构"),
    ("拆成微福务", "拆成微服务"),
    ("区快连技术", "区块链技术"),
    ("训练大摩型", "训练大模型"),
    ("华为的红蒙系统", "华为的鸿蒙系统"),
    ("升腾芯片", "昇腾芯片"),
    ("语音实别的准确率", "语音识别的准确率"),
    ("回度发布", "灰度发布"),
    ("他住在余航", "他住在余杭"),
    ("去南三开会", "去南山开会"),
)

ENGLISH = """
Good morning everyone, let us start with the minutes of the last meeting before we look at the new contract.
The message from the customer was quite clear: they want the price lowered, or they will contact somebody else.
I have asked the kitchen to prepare sandwiches, but the deliveries are delayed because of the weather.
Our container ships are waiting outside the harbour, and the terminals cannot take more before Thursday.
She moved to Granada last year and is writing her second novel about the desert.
Could you please forward the invoice to the accounting department, and copy me in?
The patient complained about headaches and was given a prescription for something stronger.
We should not compromise on quality, even if the competitors are promoting cheaper alternatives.
In the second clause of the agreement it says that either party may terminate within thirty days.
The committee will consider the proposal at its next session and publish the results on the website.
My grandfather used to repair watches, and his little workshop smelled of oil and tobacco.
There was a terrible accident on the motorway, so the train is probably the better choice today.
"""

_NAMES = """
Kubernetes GitHub Grafana Prometheus Terraform Ansible Postgres Docker Jenkins Claude OpenAI Anthropic Siemens
Bosch Lufthansa Novartis Ibuprofen Paracetamol Amoxicillin Contoso Fabrikam Salesforce Atlassian Confluence Slack
Zendesk Shopify Stripe Airbnb Volkswagen Mercedes Porsche Heidelberg Granola Dessert Harbor Watchman Clausen Promethean
"""
NAMES = tuple(_NAMES.split())
